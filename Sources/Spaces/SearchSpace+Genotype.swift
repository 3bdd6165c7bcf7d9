/// The notation of cell architectures in the literature of DARTS:
///
///     Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), …], normal_concat=range(2, 6), reduce=[…], …)
///
/// Each node has two pairs of an operator and the node it reads; the operator `none` is not written. Where some node has
/// not exactly two, the pairs of each node stand in a list of their own.
///
/// - Source: Liu et al., *DARTS*, ICLR 2019, released code.
extension SearchSpace {
    /// Whether every site belongs to a cell of two inputs, so that the notation says everything.
    var hasGenotypes: Bool {
        !cells.isEmpty && cells.allSatisfy { $0.wiring != .dense }
            && cells.reduce(0) { $0 + $1.siteCount } == sites.count
    }

    func genotype(of architecture: Architecture) -> String {
        let parts = cells.map { cell -> String in
            let nodes = (2..<cell.nodes).map { pairs(of: architecture, cell, node: $0) }
            let isFlat = nodes.allSatisfy { $0.count == 2 }
            let lists = nodes.map { node in node.map { "('\($0.name)', \($0.input))" }.joined(separator: ", ") }
            let text = lists.map { isFlat ? $0 : "[\($0)]" }.joined(separator: ", ")
            return "\(cell.name)=[\(text)], \(cell.name)_concat=range(2, \(cell.nodes))"
        }
        return "Genotype(\(parts.joined(separator: ", ")))"
    }

    private func pairs(of architecture: Architecture, _ cell: Cell, node: Int) -> [(name: String, input: Int)] {
        if cell.wiring == .twoSlots {
            return (0..<2).map { slot in
                let sites = cell.slot(slot, of: node)
                return (cell.operators[architecture[sites.operator]].label, architecture[sites.input])
            }
        }
        return (0..<node).compactMap { from in
            let block = cell.operators[architecture[cell.site(from: from, to: node)]]
            return block.kind == .cellNone ? nil : (block.label, from)
        }
    }

    /// Reads the notation; edges that it does not name have the operator `none`.
    ///
    /// - Throws: ``SpaceError`` for a cell, operator or node that the space does not have, or an edge left open.
    func architecture(genotype text: String) throws(SpaceError) -> Architecture {
        var reader = GenotypeReader(text)
        let found = try reader.read()
        var choices = [Int?](repeating: nil, count: sites.count)
        for name in found.map(\.name) where !cells.contains(where: { $0.name == name }) {
            let known = cells.map(\.name).joined(separator: ", ")
            throw SpaceError(.unknown, "genotype: unknown cell '\(name)' in the space \(self.name); known: \(known).")
        }
        for cell in cells {
            guard let nodes = found.first(where: { $0.name == cell.name })?.nodes else {
                throw SpaceError(.missing, "genotype: no cell '\(cell.name)'")
            }
            guard nodes.count == cell.nodes - 2 else {
                throw SpaceError(
                    .value, "genotype: expects \(cell.nodes - 2) nodes of '\(cell.name)', found \(nodes.count)")
            }
            for (index, pairs) in nodes.enumerated() { try place(pairs, cell, node: index + 2, in: &choices) }
        }
        if let site = choices.firstIndex(of: nil) {
            throw SpaceError(.missing, "genotype: no operator for \(sites[site].site), and the space has no 'none'")
        }
        return Architecture(choices: choices.compactMap { $0 })
    }

    private func place(
        _ pairs: [(name: String, input: Int)], _ cell: Cell, node: Int, in choices: inout [Int?]
    ) throws(SpaceError) {
        let subject = "genotype: node \(node) of '\(cell.name)'"
        if cell.wiring == .twoSlots {
            guard pairs.count == 2 else {
                throw SpaceError(.value, "\(subject): expects two pairs, found \(pairs.count)")
            }
        } else {
            let none = cell.operators.firstIndex { $0.kind == .cellNone }
            for from in 0..<node { choices[cell.site(from: from, to: node)] = none }
        }
        var seen: Set<Int> = []
        for (slot, pair) in pairs.enumerated() {
            guard let index = cell.operators.firstIndex(where: { $0.label == pair.name }) else {
                let known = cell.operators.map(\.label).joined(separator: ", ")
                throw SpaceError(.unknown, "\(subject): unknown operator '\(pair.name)'; known: \(known).")
            }
            guard (0..<node).contains(pair.input) else {
                throw SpaceError(.value, "\(subject): expects an input of 0 to \(node - 1), found \(pair.input)")
            }
            if cell.wiring == .twoSlots {
                let sites = cell.slot(slot, of: node)
                (choices[sites.input], choices[sites.operator]) = (pair.input, index)
            } else {
                guard seen.insert(pair.input).inserted else {
                    throw SpaceError(.conflict, "\(subject): two operators read node \(pair.input)")
                }
                choices[cell.site(from: pair.input, to: node)] = index
            }
        }
    }
}

/// Reads `Genotype(name=[…], …)` into pairs by cell and node.
private struct GenotypeReader {
    private typealias Pairs = [(name: String, input: Int)]
    private var rest: Substring
    private let whole: String

    init(_ text: String) {
        whole = text
        rest = Substring(text)
    }

    mutating func read() throws(SpaceError) -> [(name: String, nodes: [[(name: String, input: Int)]])] {
        try expect("Genotype")
        try expect("(")
        var cells: [(name: String, nodes: [[(name: String, input: Int)]])] = []
        while !accept(")") {
            let name = word()
            try expect("=")
            if name.hasSuffix("_concat") {
                // All nodes are concatenated; the list is read over.
                guard let end = rest.firstIndex(where: { $0 == ")" || $0 == "]" }) else { throw fault("')'") }
                rest = rest[rest.index(after: end)...]
            } else {
                cells.append((name, try nodes()))
            }
            if !accept(",") {
                try expect(")")
                break
            }
        }
        skipSpace()
        guard rest.isEmpty else { throw fault("the end") }
        return cells
    }

    private mutating func nodes() throws(SpaceError) -> [[(name: String, input: Int)]] {
        try expect("[")
        var flat: Pairs = [], lists: [Pairs] = []
        while !accept("]") {
            if accept("[") {
                var list: Pairs = []
                while !accept("]") {
                    list.append(try pair())
                    _ = accept(",")
                }
                lists.append(list)
            } else {
                flat.append(try pair())
            }
            _ = accept(",")
        }
        guard lists.isEmpty else { return lists }
        guard flat.count.isMultiple(of: 2) else { throw fault("two pairs for every node") }
        return stride(from: 0, to: flat.count, by: 2).map { Array(flat[$0..<$0 + 2]) }
    }

    private mutating func pair() throws(SpaceError) -> (name: String, input: Int) {
        try expect("(")
        guard accept("'") || accept("\"") else { throw fault("a quoted operator") }
        let name = word()
        guard accept("'") || accept("\"") else { throw fault("the end of the operator's name") }
        try expect(",")
        guard let input = Int(word()) else { throw fault("the number of a node") }
        try expect(")")
        return (name, input)
    }

    private mutating func word() -> String {
        skipSpace()
        let found = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        rest = rest.dropFirst(found.count)
        return String(found)
    }

    private mutating func skipSpace() { rest = rest.drop { $0 == " " || $0 == "\n" } }

    private mutating func accept(_ text: String) -> Bool {
        skipSpace()
        guard rest.hasPrefix(text) else { return false }
        rest = rest.dropFirst(text.count)
        return true
    }

    private mutating func expect(_ text: String) throws(SpaceError) { if !accept(text) { throw fault("'\(text)'") } }

    private func fault(_ expected: String) -> SpaceError {
        let place = whole.count - rest.count + 1
        return SpaceError(
            .syntax, "genotype: expects \(expected) at character \(place), found '\(rest.prefix(20))'")
    }
}
