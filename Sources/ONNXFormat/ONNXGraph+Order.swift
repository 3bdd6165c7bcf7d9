extension ONNXModel.Graph {
    /// Checks names and puts nodes into an order in which every value is defined before it is used.
    ///
    /// Nodes that are in order already stay where they are. Graphs in attributes are treated alike; they see the names
    /// of the graphs around them.
    ///
    /// - Throws: ``ONNXError`` (`malformed`) for a name defined twice, a value that nothing defines, or a cycle.
    mutating func order(enclosing: Set<String>) throws(ONNXError) {
        try requireUnique(initializers.map(\.name), "initialiser")
        try requireUnique(inputs.map(\.name), "graph input")
        let given = Set(initializers.map(\.name)).union(inputs.map(\.name))
        var producer: [String: Int] = [:]
        for (index, node) in nodes.enumerated() {
            for output in node.outputs where !output.isEmpty {
                guard !given.contains(output), producer.updateValue(index, forKey: output) == nil else {
                    throw ONNXError(.malformed, subject: node.label, "the value '\(output)' is defined twice")
                }
            }
        }
        let visible = enclosing.union(given)
        let reads = nodes.map { $0.reads }
        for (node, names) in zip(nodes, reads) {
            for name in names where producer[name] == nil && !visible.contains(name) {
                throw ONNXError(.malformed, subject: node.label, "it reads '\(name)', which nothing defines")
            }
        }
        try sort(reads.map { $0.compactMap { producer[$0] } })
        for output in outputs where producer[output.name] == nil && !visible.contains(output.name) {
            throw ONNXError(.malformed, "the graph's output '\(output.name)' is defined by no node")
        }
        let inside = visible.union(producer.keys)
        for index in nodes.indices {
            let label = nodes[index].label
            do throws(ONNXError) {
                try nodes[index].mapGraphs { (graph) throws(ONNXError) in try graph.order(enclosing: inside) }
            } catch {
                throw error.naming(subject: label)
            }
        }
    }

    private func requireUnique(_ names: [String], _ what: String) throws(ONNXError) {
        var seen: Set<String> = []
        for name in names where !seen.insert(name).inserted {
            throw ONNXError(.malformed, "there are two of \(what) '\(name)'")
        }
    }

    /// Sorts nodes topologically, those that are ready first in the order in which they came.
    private mutating func sort(_ needs: [[Int]]) throws(ONNXError) {
        if needs.enumerated().allSatisfy({ index, before in before.allSatisfy { $0 < index } }) { return }
        var missing = needs.map(\.count)
        var users = [[Int]](repeating: [], count: nodes.count)
        for (index, before) in needs.enumerated() {
            for node in before { users[node].append(index) }
        }
        var queue = missing.indices.filter { missing[$0] == 0 }
        var done = 0
        while done < queue.count {
            for user in users[queue[done]] {
                missing[user] -= 1
                if missing[user] == 0 { queue.append(user) }
            }
            done += 1
        }
        guard queue.count == nodes.count else {
            let stuck = missing.indices.first { missing[$0] > 0 } ?? 0
            throw ONNXError(
                .malformed, subject: nodes[stuck].label, "it depends on its own output: the graph has a cycle")
        }
        nodes = queue.map { nodes[$0] }
    }
}

extension ONNXModel.Node {
    /// The names this node reads: its inputs, and what graphs in its attributes take from outside.
    var reads: [String] {
        var names = inputs.filter { !$0.isEmpty }
        for graph in graphs { names += graph.freeNames }
        return names
    }

    /// The graphs in this node's attributes.
    var graphs: [ONNXModel.Graph] {
        attributes.flatMap { attribute -> [ONNXModel.Graph] in
            switch attribute.value {
            case .graph(let graph): [graph]
            case .graphs(let graphs): graphs
            default: []
            }
        }
    }

    /// Changes the graphs in this node's attributes in place.
    mutating func mapGraphs(
        _ change: (inout ONNXModel.Graph) throws(ONNXError) -> Void
    ) throws(ONNXError) {
        for index in attributes.indices {
            switch attributes[index].value {
            case .graph(var graph):
                try change(&graph)
                attributes[index].value = .graph(graph)
            case .graphs(var graphs):
                for position in graphs.indices { try change(&graphs[position]) }
                attributes[index].value = .graphs(graphs)
            default: break
            }
        }
    }
}

extension ONNXModel.Graph {
    /// The names that the graph uses without defining them, in order of first use.
    var freeNames: [String] {
        var defined = Set(initializers.map(\.name)).union(inputs.map(\.name))
        for node in nodes { defined.formUnion(node.outputs) }
        var seen: Set<String> = []
        return (nodes.flatMap(\.reads) + outputs.map(\.name)).filter {
            !defined.contains($0) && seen.insert($0).inserted
        }
    }
}
