import IR
import Operators

/// Removes nodes that give back their operand, and joins reshapes and transpositions that follow each other.
///
/// Runs before patterns are matched, which such nodes would hide. Without it graphs stay right, with needless copies.
///
///     %0 = transpose %x {permutation = [1, 0]}
///     %1 = transpose %0 {permutation = [1, 0]}      →      %2 = relu %x
///     %2 = relu %1
public let removeIdentities = Pass("remove-identities") { graph throws(PassError) in
    var producers = Producers()
    let simplified = try graph.rewritten { node, operands, g throws(PassError) in
        guard let operand = operands.first, node.results.count == 1 else { return nil }
        let type = graph.type(of: node.results[0])
        if let same = identity(node.op, operands, type, g) { return [same] }
        guard let inner = producers.node(of: operand, in: g), let source = inner.operands.first else { return nil }
        if node.op is Reshape, inner.op is Reshape {
            if g.type(of: source) == type { return [source] }
            return try rewriting { () throws(ShapeError) in [try g.append(Reshape(type.shape), source, name: node.name)]
            }
        }
        if let outer = node.op as? Transpose, let first = inner.op as? Transpose {
            let permutation = outer.permutation.map { first.permutation[$0] }
            if permutation == Array(permutation.indices) { return [source] }
            return try rewriting { () throws(ShapeError) in
                [try g.append(Transpose(permutation), source, name: node.name)]
            }
        }
        return nil
    }
    return simplified.withoutDeadCode()
}

/// The operand that an operator's result always equals.
private func identity(_ op: any Operator, _ operands: [Value], _ result: TensorType, _ g: GraphBuilder) -> Value? {
    /// The other operand, when one is a constant that is `neutral` everywhere and does not broadcast the other.
    func other(_ neutral: Double, commutes: Bool) -> Value? {
        for (index, operand) in operands.enumerated() where index == 1 || commutes {
            let kept = operands[1 - index]
            guard g.type(of: kept) == result, let literal = g.constant(of: operand), literal.count <= 1 << 16 else {
                continue
            }
            if literal.reals.allSatisfy({ $0 == neutral }) { return kept }
        }
        return nil
    }
    let isSame = g.type(of: operands[0]) == result
    switch op {
    case is Reshape, is Cast, is BroadcastTo: return isSame ? operands[0] : nil
    case let op as Transpose: return op.permutation == Array(op.permutation.indices) ? operands[0] : nil
    case let op as Slice: return isSame && op.steps.allSatisfy({ $0 == 1 }) ? operands[0] : nil
    case is Concat: return operands.count == 1 ? operands[0] : nil
    // Adding zero turns -0 into 0, which no comparison tells apart.
    case is Add: return other(0, commutes: true)
    case is Multiply: return other(1, commutes: true)
    case is Subtract: return other(0, commutes: false)
    case is Divide: return other(1, commutes: false)
    default: return nil
    }
}
