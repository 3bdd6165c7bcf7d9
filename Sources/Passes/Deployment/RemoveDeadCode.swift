import IR

/// Removes nodes whose results nothing reads.
///
/// Passes that replace nodes leave the old ones behind and count on this one; it may run at any time. Without it graphs
/// stay right, and compute what nobody needs.
///
///     %0 = relu %x                        %1 = tanh %x
///     %1 = tanh %x                 →      return %1
///     return %1
public let removeDeadCode = Pass("remove-dead-code") { graph throws(PassError) in graph.withoutDeadCode() }

extension Graph {
    /// The graph without nodes whose results nothing reads.
    func withoutDeadCode() -> Graph {
        var isRead = [Bool](repeating: false, count: valueCount)
        for output in outputs { isRead[output.id] = true }
        for node in nodes.reversed() where node.results.contains(where: { isRead[$0.id] }) {
            for operand in node.operands { isRead[operand.id] = true }
        }
        var g = GraphBuilder(name: name)
        var new = [Value?](repeating: nil, count: valueCount)
        for (input, name) in zip(inputs, inputNames) { new[input.id] = g.input(name, type(of: input)) }
        for node in nodes where node.results.contains(where: { isRead[$0.id] }) {
            let results = g.copy(node, operands: node.operands.map { new[$0.id]! }, types: types(of: node.results))
            for (old, result) in zip(node.results, results) { new[old.id] = result }
        }
        return g.finish(outputs: outputs.map { new[$0.id]! }, names: outputNames)
    }
}
