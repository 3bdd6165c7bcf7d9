import IR

/// Decomposes operators that have no C of their own into operators that have.
///
/// Runs last of the passes that change the graph, so that the others see whole operators. Without it the C writer refuses
/// what it could have taken apart. An operator that has neither C nor a decomposition is an error which names it.
///
///     %0 = hard_swish %x           →      %0 = hard_sigmoid %x
///                                         %1 = multiply %x, %0
public let legaliseForC = Pass("legalise-for-c") { graph throws(PassError) in
    try graph.rewritten { node, operands, g throws(PassError) in
        if isLegal(node, g.types(of: operands), graph.types(of: node.results)) { return nil }
        return try decomposed(node, operands, node.name, &g)
    }
}

private func isLegal(_ node: Node, _ x: [TensorType], _ y: [TensorType]) -> Bool {
    if node.op is any SourceOperator || !node.schedule.isEmpty { return true }
    if y.allSatisfy({ $0.count == 0 }) || node.op.viewOffset(x, y) == 0 { return true }
    return node.op.c(x, y) != nil
}

private func decomposed(_ node: Node, _ operands: [Value], _ name: String?, _ g: inout GraphBuilder) throws(PassError)
    -> [Value]
{
    let types = g.types(of: operands), label = node.op.mnemonic + (name.map { " " + AttributeValue.quote($0) } ?? "")
    let parts = try rewriting { () throws(ShapeError) in try Interpreter.decomposition(of: node.op, types) }
    guard let parts else {
        throw PassError(
            "\(label) has no C for operands (\(types.map(\.description).joined(separator: ", "))), nor a decomposition")
    }
    var new = [Value?](repeating: nil, count: parts.valueCount)
    for (input, operand) in zip(parts.inputs, operands) { new[input.id] = operand }
    for part in parts.nodes {
        let inner = part.operands.map { new[$0.id]! }, types = parts.types(of: part.results)
        var named = part
        named.name = name
        let results =
            isLegal(part, g.types(of: inner), types)
            ? g.copy(named, operands: inner, types: types) : try decomposed(part, inner, name, &g)
        for (old, result) in zip(part.results, results) { new[old.id] = result }
    }
    return parts.outputs.map { new[$0.id]! }
}
