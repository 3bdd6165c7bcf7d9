import IR
public import Passes

/// Replaces composites that have no kernel by their decompositions, where all of those have one.
///
/// Runs after the layouts are chosen, since kernels depend on them. Optional: without it, such a node runs by its
/// definition, slowly.
///
///     %1 = linear %x, %w, %b    →    %1 = matmul %x, %w {transposesB = true}
///                                    %2 = add %1, %b
public let lowerForExecution = Pass("lower-for-execution") { graph throws(PassError) in
    do throws(ShapeError) {
        return try graph.rewritten { node, operands, g throws(ShapeError) in
            guard !(node.op is any SourceOperator) else { return nil }
            let (x, y) = (graph.types(of: node.operands), graph.types(of: node.results))
            guard chooseKernel(node.op, x, y) == nil, let lowered = try lowering(of: node.op, x, y) else { return nil }
            return try g.scoped(node.name ?? node.op.mnemonic) { g throws(ShapeError) in
                g.inline(lowered, inputs: operands)
            }
        }
    } catch {
        throw PassError(error)
    }
}

/// The meaning of an operator in terms of kernels alone; `nil` when there is none.
private func lowering(of op: any Operator, _ x: [TensorType], _ y: [TensorType]) throws(ShapeError) -> Graph? {
    guard let plain = try Interpreter.decomposition(of: op, x), let meaning = plain.laidOut(like: op, x, y) else {
        return nil
    }
    var isComplete = true
    let lowered = try meaning.rewritten { node, operands, g throws(ShapeError) in
        guard isComplete, !(node.op is any SourceOperator) else { return nil }
        let (x, y) = (meaning.types(of: node.operands), meaning.types(of: node.results))
        if chooseKernel(node.op, x, y) != nil || node.op.viewOffset(x, y) != nil { return nil }
        guard let inner = try lowering(of: node.op, x, y) else {
            isComplete = false
            return nil
        }
        return g.inline(inner, inputs: operands)
    }
    return isComplete ? lowered : nil
}

extension Graph {
    /// A decomposition in the layouts in which the operator is used; `nil` where they cannot be carried inside.
    fileprivate func laidOut(like op: any Operator, _ x: [TensorType], _ y: [TensorType]) -> Graph? {
        if (x + y).allSatisfy({ $0.layout == .plain }) { return self }
        guard op.layoutRule == .elementwise,
            nodes.allSatisfy({ $0.op.layoutRule == .elementwise || $0.op is any SourceOperator })
        else { return nil }
        var graph = self
        for id in 0..<valueCount {
            let value = Value(id: id)
            if type(of: value).shape == y[0].shape {
                graph.setType(of: value, to: type(of: value).with(layout: y[0].layout))
            }
        }
        for (input, type) in zip(inputs, x) { graph.setType(of: input, to: type) }
        return graph
    }
}
