import IR
import Operators

/// The inside of cells.
extension NetworkBuilder {
    mutating func build(
        _ cell: SearchSpace.Cell, _ x: Feature, _ stage: SearchSpace.Settings, stride: Int
    ) throws(ShapeError) -> Feature {
        var nodes = [x]
        if cell.wiring != .dense {
            guard let setting = stage["width"] ?? space.settings["width"] else {
                preconditionFailure("a cell of two inputs has a width: the reader checked")
            }
            nodes = try inputs(x, width: width(of: setting))
        }
        normalisesPools = cell.wiring != .dense
        for to in cell.wiring.inputs..<cell.nodes {
            let terms =
                cell.wiring == .twoSlots
                ? try slots(cell, to, nodes, stage, stride) : try edges(cell, to, nodes, stage, stride)
            guard !terms.isEmpty else {
                nodes.append(try filled(nil, like: nodes[0], stride: stride))
                continue
            }
            nodes.append(
                try scoped("node\(to)") { b throws(ShapeError) in
                    let sum = try b.sum(terms)
                    return b.normalisesNodes ? try b.batchNorm(sum, name: "norm") : sum
                })
        }
        beforeLast = x
        return cell.wiring == .dense ? nodes[nodes.count - 1] : try concatenate(Array(nodes[2...]))
    }

    /// The outputs of the last two cells at the cell's width and the resolution of the later one.
    private mutating func inputs(_ x: Feature, width: Width) throws(ShapeError) -> [Feature] {
        let before = beforeLast ?? x
        let isLarger = shape(of: before)[2] != shape(of: x)[2]
        func project(
            _ x: Feature, _ name: String, _ b: inout NetworkBuilder
        ) throws(ShapeError) -> Feature {
            try b.scoped(name) { b throws(ShapeError) in
                let y = try b.convolution(b.activation(x, .relu), width: width, kernel: 1, name: "conv")
                return try b.batchNorm(y, name: "norm")
            }
        }
        let first =
            isLarger
            ? try factorisedReduction(before, width: width, name: "input0") : try project(before, "input0", &self)
        return [first, try project(x, "input1", &self)]
    }

    /// One operator on every edge.
    private mutating func edges(
        _ cell: SearchSpace.Cell, _ to: Int, _ nodes: [Feature], _ stage: SearchSpace.Settings, _ stride: Int
    ) throws(ShapeError) -> [Feature] {
        var terms: [Feature] = []
        for from in 0..<to {
            let stride = from < cell.wiring.inputs ? stride : 1
            let branches = branches(cell, nodes[from], stage, stride)
            let term = try scoped("\(from)to\(to)") { b throws(ShapeError) in
                try b.choose(
                    cell.site(from: from, to: to), among: branches, zeroLike: nodes[from], stride: stride
                ).map { y throws(ShapeError) in try b.dropPath(y, from: nodes[from]) }
            }
            if let term { terms.append(term) }
        }
        return terms
    }

    private func branches(
        _ cell: SearchSpace.Cell, _ source: Feature, _ stage: SearchSpace.Settings, _ stride: Int
    ) -> [Branch] {
        cell.operators.map { block in
            (
                name: block.label,
                build: { (b: inout NetworkBuilder) throws(ShapeError) -> Feature? in
                    let settings = b.settings(of: block, [stage], stride: stride, source.width)
                    return try block.kind.build(source, settings, &b)
                }
            )
        }
    }

    /// Two slots of one input and one operator each.
    ///
    /// In a mixture the weight of an operator on an edge is the sum over the slots of the input's weight times the
    /// operator's, and every edge runs once.
    private mutating func slots(
        _ cell: SearchSpace.Cell, _ to: Int, _ nodes: [Feature], _ stage: SearchSpace.Settings, _ stride: Int
    ) throws(ShapeError) -> [Feature] {
        let slots = (0..<2).map { cell.slot($0, of: to) }
        switch selection {
        case .path(let architecture):
            var built: [(edge: [Int], feature: Feature?)] = [], terms: [Feature] = []
            for slot in slots {
                let edge = [architecture[slot.input], architecture[slot.operator]]
                if !built.contains(where: { $0.edge == edge }) {
                    let stride = edge[0] < 2 ? stride : 1
                    let branch = branches(cell, nodes[edge[0]], stage, stride)[edge[1]]
                    let feature = try scoped("\(edge[0])to\(to)") { b throws(ShapeError) in
                        try b.scoped(branch.name, branch.build).map { y throws(ShapeError) in
                            try b.dropPath(y, from: nodes[edge[0]])
                        }
                    }
                    built.append((edge, feature))
                }
                // Both slots may have chosen the same.
                if let feature = built.first(where: { $0.edge == edge })?.feature { terms.append(feature) }
            }
            return terms
        case .mixture(let weights):
            var terms: [Feature] = []
            for from in 0..<to {
                let stride = from < 2 ? stride : 1
                guard let edge = try edgeWeights(slots, from, weights, cell.operators.count) else { continue }
                let branches = branches(cell, nodes[from], stage, stride)
                terms.append(
                    try scoped("\(from)to\(to)") { b throws(ShapeError) in
                        try b.mix(
                            edge.active.map { branches[$0] }, edge.weights, zeroLike: nodes[from], stride: stride)
                    })
            }
            return terms
        }
    }

    /// The weights of the operators on one edge of a mixture of slots; `nil` when no slot reads it.
    private mutating func edgeWeights(
        _ slots: [(input: Int, operator: Int)], _ from: Int, _ weights: [MixtureWeights?], _ count: Int
    ) throws(ShapeError) -> (active: [Int], weights: Value)? {
        struct Part {
            var input: Value
            var operators: Value
            var active: [Int]
        }
        var parts: [Part] = []
        for slot in slots {
            guard let inputs = weights[slot.input], let operators = weights[slot.operator],
                let input = inputs.value, let vector = operators.value,
                let position = inputs.active.firstIndex(of: from)
            else { continue }
            let slice = Slice(axis: 0, start: position, size: 1, of: [inputs.active.count])
            parts.append(
                Part(input: try append(slice, [input], "input"), operators: vector, active: operators.active))
        }
        guard !parts.isEmpty else { return nil }
        let active = (0..<count).filter { index in parts.contains { $0.active.contains(index) } }
        var sum: Value?
        for part in parts {
            var operators = part.operators
            if part.active != active {
                // Operators that run in the other slot alone have no weight in this one.
                var pieces: [Value] = []
                for index in active {
                    if let position = part.active.firstIndex(of: index) {
                        let slice = Slice(axis: 0, start: position, size: 1, of: [part.active.count])
                        pieces.append(try append(slice, [operators], "operator"))
                    } else {
                        pieces.append(try append(Reshape([1]), [constant(0)], "operator"))
                    }
                }
                operators = try append(Concat(axis: 0), pieces, "operators")
            }
            let product = try append(Multiply(), [operators, part.input], "edge")
            sum = try sum.map { value throws(ShapeError) in try append(Add(), [value, product], "edge") } ?? product
        }
        return sum.map { (active, $0) }
    }
}
