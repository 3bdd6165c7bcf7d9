import IR

/// Merges nodes that compute the same from the same operands.
///
/// May run at any time. Without it graphs stay right, and do some work twice.
///
///     %0 = relu %x                        %0 = relu %x
///     %1 = relu %x                 →      %1 = add %0, %0
///     %2 = add %0, %1
public let mergeDuplicates = Pass("merge-duplicates") { graph throws(PassError) in
    graph.mergingDuplicates { _ in true }
}

extension Graph {
    /// The graph in which those of the operators asked for that compute the same from the same operands are one.
    func mergingDuplicates(of merges: (any Operator) -> Bool) -> Graph {
        var known: [Computation: [Value]] = [:]
        return rewritten { node, operands, g in
            if node.op is Parameter || !merges(node.op) { return nil }
            let computation = Computation(op: node.op, operands: operands, schedule: node.schedule)
            if let results = known[computation] { return results }
            let results = g.copy(node, operands: operands, types: types(of: node.results))
            known[computation] = results
            return results
        }
    }
}

private struct Computation: Hashable {
    let op: any Operator
    let operands: [Value]
    let schedule: Schedule

    static func == (a: Computation, b: Computation) -> Bool {
        a.operands == b.operands && a.schedule == b.schedule && a.op.isEqual(to: b.op)
    }
    func hash(into hasher: inout Hasher) {
        hasher.combine(op.mnemonic)
        hasher.combine(operands)
        if let constant = op as? Constant {
            // Hashing all bytes of all weights would cost more than the rare comparison.
            hasher.combine(constant.literal.shape)
            hasher.combine(constant.literal.bytes.prefix(64))
        }
    }
}
