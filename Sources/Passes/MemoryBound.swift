public import IR

extension MemoryPlan {
    /// Bytes of the arena that no order of the nodes gets by with, for the buffers of this plan.
    ///
    /// Whatever the order, a buffer is in use at a node when something that writes it must run before the node, or is the node,
    /// and something that reads it must run after, or is the node. The bound is the largest sum of such buffers.
    public func leastBytes(of graph: Graph) -> Int {
        let count = graph.nodes.count
        var writers = [[Int]](repeating: [], count: buffers.count), readers = writers
        var scratch = [Int](repeating: 0, count: count)
        var home = [Int?](repeating: nil, count: graph.valueCount)
        for (index, buffer) in buffers.enumerated() {
            if buffer.values.isEmpty { scratch[buffer.steps.lowerBound] += buffer.bytes }
            for value in buffer.values { home[value.id] = index }
        }
        var before = [Reach](repeating: Reach(count), count: count)
        var producer = [Int?](repeating: nil, count: graph.valueCount)
        for (index, node) in graph.nodes.enumerated() {
            before[index].insert(index)
            for operand in node.operands {
                if let source = producer[operand.id] { before[index].formUnion(before[source]) }
                if let buffer = home[operand.id] { readers[buffer].append(index) }
            }
            for result in node.results {
                producer[result.id] = index
                if let buffer = home[result.id] { writers[buffer].append(index) }
            }
        }
        var least = 0
        for node in graph.nodes.indices where !(graph.nodes[node].op is any SourceOperator) {
            var bytes = scratch[node]
            for (index, buffer) in buffers.enumerated() {
                let isWritten = writers[index].contains { before[node].contains($0) }
                // A result that nobody reads is in use where it is written.
                let isRead = (readers[index] + writers[index]).contains { $0 == node || before[$0].contains(node) }
                if isWritten && isRead { bytes += buffer.bytes }
            }
            least = max(least, bytes)
        }
        return least
    }
}

/// A set of nodes.
private struct Reach {
    private var words: [UInt64]

    init(_ count: Int) { words = [UInt64](repeating: 0, count: (count + 63) / 64) }

    func contains(_ node: Int) -> Bool { words[node >> 6] >> UInt64(node & 63) & 1 == 1 }
    mutating func insert(_ node: Int) { words[node >> 6] |= 1 << UInt64(node & 63) }
    mutating func formUnion(_ other: Reach) { for index in words.indices { words[index] |= other.words[index] } }
}
