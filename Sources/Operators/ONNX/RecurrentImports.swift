import IR

extension Registry {
    /// The recurrent layers: each direction is one operator, behind a product for all steps.
    static let recurrentImports: [ONNXImport] = [
        recurrent("RNN", .rnn), recurrent("GRU", .gru), recurrent("LSTM", .lstm),
    ]

    private static func recurrent(_ opType: String, _ cell: Recurrent.Cell) -> ONNXImport {
        ONNXImport(opType, versions: 7...21) { node, g throws(ONNXImportError) in
            try g.recurrent(node, cell)
        }
    }
}

extension GraphBuilder {
    fileprivate mutating func recurrent(_ node: ONNXNode, _ cell: Recurrent.Cell) throws(ONNXImportError) -> [Value] {
        var x = try node.required(0)
        let w = try node.required(1), r = try node.required(2), element = type(of: x).element
        let isBatchFirst = try node.int("layout", default: 0) != 0
        guard type(of: x).rank == 3, type(of: w).rank == 3, type(of: r).rank == 3 else {
            throw .malformed("the operands should have rank 3, found \(types(of: [x, w, r]))")
        }
        if isBatchFirst { x = try apply(Transpose([1, 0, 2]), x) }
        let shape = type(of: x).shape, steps = shape[0], batch = shape[1], units = type(of: r).shape[2]
        let width = cell.gates * units
        let direction = try node.string("direction", default: "forward")
        let reversed = direction == "bidirectional" ? [false, true] : [direction == "reverse"]
        guard ["forward", "reverse", "bidirectional"].contains(direction),
            type(of: w).shape == [reversed.count, width, shape[2]],
            type(of: r).shape == [reversed.count, width, units]
        else {
            throw .malformed("weights \(type(of: w)) and \(type(of: r)) do not fit \(direction) steps of \(shape)")
        }
        let lengths =
            if let given = node.input(4) { try apply(Cast(to: .i32), given) } else {
                constant(Literal([Int](repeating: steps, count: batch), element: .i32))
            }
        var (results, states, memories) = ([Value](), [Value](), [Value]())
        for (d, isReversed) in reversed.enumerated() {
            func part(_ value: Value, _ shape: [Int]) throws(ONNXImportError) -> Value {
                try apply(Reshape(shape), apply(Slice(axis: 0, start: d, size: 1, of: type(of: value).shape), value))
            }
            /// An initial state, laid out by direction and batch, or zeros.
            func initial(_ index: Int) throws(ONNXImportError) -> Value {
                guard let given = node.input(index) else {
                    return constant(Literal(element, [batch, units], reals: .init(repeating: 0, count: batch * units)))
                }
                return try part(isBatchFirst ? apply(Transpose([1, 0, 2]), given) : given, [batch, units])
            }
            let op = try operation(node, cell, direction: d, isReversed: isReversed)
            var gates = try apply(MatMul(), x, apply(Transpose([1, 0]), part(w, [width, shape[2]])))
            var bias = constant(Literal(element, [width], reals: .init(repeating: 0, count: width)))
            if let both = node.input(3) {
                let joint = try part(both, [2 * width])
                gates = try apply(Add(), gates, apply(Slice(axis: 0, start: 0, size: width, of: [2 * width]), joint))
                bias = try apply(Slice(axis: 0, start: width, size: width, of: [2 * width]), joint)
            }
            var operands = [gates, try part(r, [width, units]), bias, lengths, try initial(5)]
            if cell == .lstm {
                operands.append(try initial(6))
                operands.append(
                    try node.input(7).map { value throws(ONNXImportError) in try part(value, [3 * units]) }
                        ?? constant(Literal(element, [3 * units], reals: .init(repeating: 0, count: 3 * units))))
            }
            let all = operands
            let made = try importing { () throws(ShapeError) in try appendAll(op, all, name: node.name) }
            results.append(try apply(Reshape([steps, 1, batch, units]), made[0]))
            states.append(try apply(Reshape([1, batch, units]), made[1]))
            if cell == .lstm { memories.append(try apply(Reshape([1, batch, units]), made[2])) }
        }
        func joined(_ values: [Value], _ axis: Int) throws(ONNXImportError) -> Value {
            if values.count == 1 { return values[0] }
            return try importing { () throws(ShapeError) in try appendAll(Concat(axis: axis), values)[0] }
        }
        var y = [try joined(results, 1), try joined(states, 0)] + (cell == .lstm ? [try joined(memories, 0)] : [])
        if isBatchFirst {
            y[0] = try apply(Transpose([2, 0, 1, 3]), y[0])
            for k in 1..<y.count { y[k] = try apply(Transpose([1, 0, 2]), y[k]) }
        }
        return y
    }

    /// The operator of one direction with the node's functions and their parameters.
    private func operation(
        _ node: ONNXNode, _ cell: Recurrent.Cell, direction: Int, isReversed: Bool
    ) throws(ONNXImportError) -> Recurrent {
        var op = Recurrent(cell, isReversed: isReversed)
        let count = op.functions.count
        if case .strings(let names)? = node.attributes["activations"] {
            guard names.count >= (direction + 1) * count else { throw .malformed("activations are missing") }
            op.functions = Array(names[direction * count..<(direction + 1) * count])
        }
        func floats(_ name: String) throws(ONNXImportError) -> [Double] {
            switch node.attributes[name] {
            case nil: return []
            case .floats(let values)?: return values.map(Double.init)
            default: throw .malformed("attribute '\(name)' should be a list of reals")
            }
        }
        let alphas = try floats("activation_alpha"), betas = try floats("activation_beta")
        for (k, name) in op.functions.enumerated() {
            guard let function = RecurrentFunction(rawValue: name) else { throw .unsupported("activation '\(name)'") }
            let at = direction * count + k
            op.parameters[2 * k] = at < alphas.count ? alphas[at] : function.defaults.alpha
            op.parameters[2 * k + 1] = at < betas.count ? betas[at] : function.defaults.beta
        }
        op.clip = try node.float("clip", default: 0)
        op.resetsProduct = try node.int("linear_before_reset", default: 0) != 0
        op.couplesGates = try node.int("input_forget", default: 0) != 0
        return op
    }
}
