import IR

/// Evaluates nodes whose operands are all constants.
///
/// Runs after parameters are bound and again after passes that leave arithmetic on constants. A node whose result is much
/// larger than what it is made from stays, since the constant would cost more memory than the arithmetic. Without it graphs
/// stay right, and compute the same numbers in every run.
///
///     %0 = constant [1.0, 2.0] : f32[2]
///     %1 = negate %0 : f32[2]            →      %0 = constant [-1.0, -2.0] : f32[2]
public let foldConstants = Pass("fold-constants") { graph throws(PassError) in
    let folded = graph.rewritten { node, operands, g in
        guard !node.operands.isEmpty else { return nil }
        let literals = operands.compactMap { g.constant(of: $0) }
        guard literals.count == operands.count, isWorthFolding(literals, graph.types(of: node.results)) else {
            return nil
        }
        guard let results = Interpreter.evaluate(node.op, literals) else { return nil }
        return results.map { g.constant($0, name: node.name) }
    }
    return folded.withoutDeadCode()
}

/// Whether the results take less than twice the bytes of the operands, or are small.
private func isWorthFolding(_ operands: [Literal], _ results: [TensorType]) -> Bool {
    let before = operands.reduce(0) { $0 + $1.bytes.count }, after = results.reduce(0) { $0 + $1.byteCount }
    return after <= max(2 * before, 1 << 12)
}
