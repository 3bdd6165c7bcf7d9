import IR

/// Control flow that is decided once constants are known: it disappears while the graph is read.
extension GraphImport {
    /// The results of an `If`, `Loop` or `Scan`; nil for any other node.
    ///
    /// - Throws: ``ONNXError`` (`unsupported`) when a condition or the number of iterations depends on data.
    mutating func structured(
        _ node: ONNXModel.Node, _ inputs: [Value?], in scope: Scope
    ) throws(ONNXError) -> [Value]? {
        switch StructuralOperator(node) {
        case .conditional: try conditional(node, inputs, in: scope)
        case .loop: try loop(node, inputs, in: scope)
        case .scan: try scan(node, inputs, in: scope)
        case .constant, nil: nil
        }
    }

    private func attribute(_ name: String, of node: ONNXModel.Node) throws(ONNXError) -> ONNXModel.Graph {
        guard case .graph(let graph)? = node[name] else {
            throw ONNXError(.malformed, "attribute '\(name)' should be a graph")
        }
        return graph
    }

    private func flag(_ value: Value?, _ what: String) throws(ONNXError) -> Bool {
        guard let value else { return true }
        guard let literal = builder.constant(of: value), literal.count == 1 else {
            throw ONNXError(.unsupported, "\(what) depends on data; only what constants decide can be compiled")
        }
        return literal.integers[0] != 0
    }

    private mutating func conditional(
        _ node: ONNXModel.Node, _ inputs: [Value?], in scope: Scope
    ) throws(ONNXError) -> [Value] {
        guard let condition = inputs.first ?? nil else { throw ONNXError(.malformed, "its condition is missing") }
        var inner = scope
        let branch = try flag(condition, "its condition") ? "then_branch" : "else_branch"
        return try body(try attribute(branch, of: node), in: &inner)
    }

    /// One run of a loop's body with its inputs bound.
    private mutating func iteration(
        _ body: ONNXModel.Graph, _ arguments: [Value], in scope: Scope
    ) throws(ONNXError) -> [Value] {
        guard arguments.count == body.inputs.count else {
            throw ONNXError(
                .malformed, "its body takes \(body.inputs.count) inputs, but is given \(arguments.count)")
        }
        roundCount += 1
        guard roundCount <= Self.roundLimit else {
            throw ONNXError(.unsupported, "its loops run more than \(Self.roundLimit) times, too often to be unrolled")
        }
        var inner = scope
        for (input, value) in zip(body.inputs, arguments) {
            inner.values[input.name] = value
            inner.pending[input.name] = nil
        }
        return try self.body(body, in: &inner)
    }

    private mutating func loop(
        _ node: ONNXModel.Node, _ inputs: [Value?], in scope: Scope
    ) throws(ONNXError) -> [Value] {
        let body = try attribute("body", of: node)
        var limit = Int.max
        if let count = inputs.first ?? nil {
            guard let literal = builder.constant(of: count), literal.count == 1 else {
                throw ONNXError(.unsupported, "its number of iterations depends on data")
            }
            limit = Int(literal.integers[0])
        }
        var goesOn = try flag(inputs.count > 1 ? inputs[1] : nil, "its condition")
        var carried = inputs.dropFirst(2).compactMap { $0 }
        let scanned = body.outputs.count - 1 - carried.count
        guard scanned >= 0 else { throw ONNXError(.malformed, "its body returns fewer values than it carries") }
        var rows = [[Value]](repeating: [], count: scanned)
        var index = 0
        while goesOn && index < limit {
            let counter = builder.constant(Literal([index], shape: []))
            let condition = builder.constant(Literal(scalar: 1, .bool))
            let results = try iteration(body, [counter, condition] + carried, in: scope)
            goesOn = try flag(results[0], "its condition")
            carried = Array(results[1..<(1 + carried.count)])
            for (column, value) in results.dropFirst(1 + carried.count).enumerated() { rows[column].append(value) }
            index += 1
        }
        var stacked: [Value] = []
        for column in rows { stacked.append(try stack(column, axis: 0, like: node)) }
        return carried + stacked
    }

    private mutating func scan(
        _ node: ONNXModel.Node, _ inputs: [Value?], in scope: Scope
    ) throws(ONNXError) -> [Value] {
        let first = StructuralOperator.scan.versions.lowerBound
        guard node.version >= first else { throw ONNXError(.unsupported, "Scan is read from opset \(first) on") }
        let body = try attribute("body", of: node)
        guard case .integer(let count)? = node["num_scan_inputs"], count > 0, count <= inputs.count else {
            throw ONNXError(.malformed, "attribute 'num_scan_inputs' should count some of its inputs")
        }
        let operands = inputs.compactMap { $0 }
        guard operands.count == inputs.count else { throw ONNXError(.malformed, "an input is missing") }
        var state = Array(operands.dropLast(count))
        let sequences = Array(operands.suffix(count))
        let scanned = body.outputs.count - state.count
        guard scanned >= 0 else { throw ONNXError(.malformed, "its body returns fewer values than it carries") }
        func list(_ name: String, _ length: Int) throws(ONNXError) -> [Int] {
            guard let value = node[name] else { return [Int](repeating: 0, count: length) }
            guard case .integers(let values) = value, values.count == length else {
                throw ONNXError(.malformed, "attribute '\(name)' should be \(length) integers")
            }
            return values
        }
        let inputAxes = try list("scan_input_axes", count)
        let inputBackwards = try list("scan_input_directions", count)
        let outputAxes = try list("scan_output_axes", scanned)
        let outputBackwards = try list("scan_output_directions", scanned)
        var length: Int?
        for (sequence, axis) in zip(sequences, inputAxes) {
            let shape = builder.type(of: sequence).shape
            let position = axis < 0 ? axis + shape.count : axis
            guard shape.indices.contains(position), length == nil || length == shape[position] else {
                throw ONNXError(.malformed, "its sequences have no common length")
            }
            length = shape[position]
        }
        var rows = [[Value]](repeating: [], count: scanned)
        for step in 0..<(length ?? 0) {
            var arguments = state
            for (index, sequence) in sequences.enumerated() {
                let position = inputBackwards[index] == 0 ? step : (length ?? 0) - 1 - step
                let which = builder.constant(Literal([position], shape: []))
                arguments.append(
                    try apply("Gather", [sequence, which], [.init("axis", .integer(inputAxes[index]))], like: node))
            }
            let results = try iteration(body, arguments, in: scope)
            state = Array(results[..<state.count])
            for (column, value) in results.dropFirst(state.count).enumerated() { rows[column].append(value) }
        }
        var stacked: [Value] = []
        for (index, column) in rows.enumerated() {
            stacked.append(
                try stack(outputBackwards[index] == 0 ? column : column.reversed(), axis: outputAxes[index], like: node)
            )
        }
        return state + stacked
    }

    /// The rows side by side along a new axis.
    private mutating func stack(_ rows: [Value], axis: Int, like node: ONNXModel.Node) throws(ONNXError) -> Value {
        guard !rows.isEmpty else { throw ONNXError(.unsupported, "it runs no iteration, so its result has no shape") }
        let axes = builder.constant(Literal([axis]))
        var lifted: [Value] = []
        for row in rows {
            lifted.append(
                node.version >= 13
                    ? try apply("Unsqueeze", [row, axes], [], like: node)
                    : try apply("Unsqueeze", [row], [.init("axes", .integers([axis]))], like: node))
        }
        return try apply("Concat", lifted, [.init("axis", .integer(axis))], like: node)
    }

    /// The result of another ONNX operator, named and versioned like `node`.
    private mutating func apply(
        _ operation: String, _ operands: [Value], _ attributes: [ONNXModel.Attribute], like node: ONNXModel.Node
    ) throws(ONNXError) -> Value {
        let inner = ONNXModel.Node(
            operation, name: node.name, version: node.version, inputs: [], outputs: node.outputs.prefix(1).map { $0 },
            attributes: attributes)
        return try imported(inner, operands)[0]
    }
}
