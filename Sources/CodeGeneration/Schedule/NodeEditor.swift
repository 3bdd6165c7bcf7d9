import IR

/// A graph's nodes while a pass replaces groups of them by one.
struct NodeEditor {
    let graph: Graph
    private(set) var nodes: [Node?]
    private(set) var producers: [Int?]
    private(set) var uses: [Int]
    let constants: [Value: Literal]

    init(_ graph: Graph) {
        self.graph = graph
        nodes = graph.nodes
        producers = graph.producers()
        uses = graph.useCounts()
        constants = graph.constants
    }

    func type(_ value: Value) -> TensorType { graph.type(of: value) }

    /// The operator that makes a value, when it is of the given type, and the index of its node.
    func maker<Op: Operator>(of value: Value, _: Op.Type) -> (op: Op, node: Node, index: Int)? {
        guard let index = producers[value.id], let node = nodes[index], let op = node.op as? Op else { return nil }
        return (op, node, index)
    }

    /// The only node that reads a value, and its index; `nil` when there are others, or it is an output.
    func onlyReader(of value: Value) -> (node: Node, index: Int)? {
        guard uses[value.id] == 1 else { return nil }
        for (index, node) in nodes.enumerated() { if let node, node.operands.contains(value) { return (node, index) } }
        return nil
    }

    /// Removes the nodes at `old` and puts `node` in the place of the one at `index`.
    mutating func replace(_ old: [Int], by node: Node, at index: Int) {
        for i in old {
            for operand in nodes[i]?.operands ?? [] { uses[operand.id] -= 1 }
            nodes[i] = nil
        }
        nodes[index] = node
        for operand in node.operands { uses[operand.id] += 1 }
        for result in node.results { producers[result.id] = index }
    }

    func finish() -> Graph {
        var g = GraphBuilder(name: graph.name)
        var new = [Value?](repeating: nil, count: graph.valueCount)
        for (input, name) in zip(graph.inputs, graph.inputNames) {
            new[input.id] = g.input(name, graph.type(of: input))
        }
        for case let node? in nodes {
            let results = g.copy(
                node, operands: node.operands.map { new[$0.id]! }, types: graph.types(of: node.results))
            for (old, result) in zip(node.results, results) { new[old.id] = result }
        }
        return g.finish(outputs: graph.outputs.map { new[$0.id]! }, names: graph.outputNames)
    }
}
