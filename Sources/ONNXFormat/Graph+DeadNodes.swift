import IR

extension Graph {
    /// The graph without nodes that no output depends on. Inputs stay, used or not.
    func withoutDeadNodes() -> Graph {
        var live = [Bool](repeating: false, count: valueCount)
        for output in outputs { live[output.id] = true }
        var kept = [Bool](repeating: false, count: nodes.count)
        for (index, node) in nodes.enumerated().reversed() where node.results.contains(where: { live[$0.id] }) {
            kept[index] = true
            for operand in node.operands { live[operand.id] = true }
        }
        var g = GraphBuilder(name: name)
        var new = [Value?](repeating: nil, count: valueCount)
        for (input, name) in zip(inputs, inputNames) { new[input.id] = g.input(name, type(of: input)) }
        for (index, node) in nodes.enumerated() where kept[index] {
            let operands = node.operands.compactMap { new[$0.id] }
            let results = g.copy(node, operands: operands, types: types(of: node.results))
            for (old, result) in zip(node.results, results) { new[old.id] = result }
        }
        return g.finish(outputs: outputs.compactMap { new[$0.id] }, names: outputNames)
    }
}
