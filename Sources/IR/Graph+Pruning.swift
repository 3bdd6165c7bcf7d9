extension Graph {
    /// The graph without nodes whose results nothing reads. Inputs stay, parameters go with the rest.
    public func pruned() -> Graph {
        var isLive = [Bool](repeating: false, count: valueCount)
        for output in outputs { isLive[output.id] = true }
        for node in nodes.reversed() where node.results.contains(where: { isLive[$0.id] }) {
            for operand in node.operands { isLive[operand.id] = true }
        }
        var g = GraphBuilder(name: name)
        var new = [Value?](repeating: nil, count: valueCount)
        for (input, name) in zip(inputs, inputNames) { new[input.id] = g.input(name, type(of: input)) }
        for node in nodes where node.results.contains(where: { isLive[$0.id] }) {
            let results = g.copy(node, operands: node.operands.map { new[$0.id]! }, types: types(of: node.results))
            for (old, result) in zip(node.results, results) { new[old.id] = result }
        }
        return g.finish(outputs: outputs.map { new[$0.id]! }, names: outputNames)
    }
}
