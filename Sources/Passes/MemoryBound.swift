public import IR

extension MemoryPlan {
    /// How little the best of all orders keeps alive.
    public struct OrderBound: Hashable, Sendable {
        /// No order of the nodes keeps less alive at its busiest node.
        public var bytes: Int
        /// Whether all orders were searched; otherwise the best one may need more.
        public var isExact: Bool
    }

    /// The liveness bound of the best order of a graph's nodes, by searching all orders where they are few enough.
    ///
    /// - Parameter limit: how many sets of nodes the search may look at.
    public func bestOrder(of graph: Graph, limit: Int = 20_000) -> OrderBound {
        var scratch = [Int](repeating: 0, count: graph.nodes.count)
        for buffer in buffers where buffer.values.isEmpty { scratch[buffer.steps.lowerBound] = buffer.bytes }
        var bound = OrderBound(bytes: lowerBound, isExact: true)
        for sharing in Options().variants(for: graph) {
            let outcome = OrderSearch(graph, sharing: sharing, scratchBytes: scratch).run(
                below: lowerBound, limit: limit)
            bound.bytes = min(bound.bytes, outcome.leastBytes)
            if !outcome.isExact { bound.isExact = false }
        }
        if !bound.isExact { bound.bytes = max(bound.bytes, leastBytes(of: graph)) }
        return bound
    }

    /// Bytes of the arena that no order of the nodes gets by with, for the buffers of this plan.
    ///
    /// Whatever the order, when a node runs, some set of nodes has run that holds all it depends on and nothing that depends on
    /// it. Alive are its own buffers and those which the set writes and the rest reads; the least sum over all such sets is a
    /// minimum cut. The nodes with most alive in this order are looked at, since the bound holds for each of them.
    func leastBytes(of graph: Graph) -> Int {
        let busiest = graph.nodes.indices.sorted { (liveBytes[$1], $0) < (liveBytes[$0], $1) }.prefix(8)
        let uses = BufferUses(graph, buffers)
        return busiest.reduce(0) { least, node in
            least >= liveBytes[node] ? least : max(least, uses.leastBytes(at: node))
        }
    }
}

/// Who writes and reads each buffer, and which nodes depend on which.
private struct BufferUses {
    private let buffers: [MemoryPlan.Buffer]
    private var writers: [[Int]]
    private var readers: [[Int]]
    private var sources: [[Int]] = []

    init(_ graph: Graph, _ buffers: [MemoryPlan.Buffer]) {
        self.buffers = buffers
        writers = [[Int]](repeating: [], count: buffers.count)
        readers = writers
        var home = [Int?](repeating: nil, count: graph.valueCount)
        for (index, buffer) in buffers.enumerated() {
            // Scratch memory belongs to its one node.
            if buffer.values.isEmpty { writers[index] = [buffer.steps.lowerBound] }
            for value in buffer.values { home[value.id] = index }
        }
        let producers = graph.producers()
        for (index, node) in graph.nodes.enumerated() {
            sources.append(Set(node.operands.compactMap { producers[$0.id] }).sorted())
            for buffer in Set(node.operands.compactMap { home[$0.id] }) { readers[buffer].append(index) }
            for buffer in Set(node.results.compactMap { home[$0.id] }) { writers[buffer].append(index) }
        }
    }

    /// The least that is alive while a node runs, over all orders.
    func leastBytes(at node: Int) -> Int {
        let (before, after) = neighbours(of: node), count = sources.count
        var network = FlowNetwork(vertices: count + 2 * buffers.count + 2)
        let start = count + 2 * buffers.count, end = start + 1
        for other in sources.indices {
            // What has run had its operands.
            for source in sources[other] { network.connect(other, source, FlowNetwork.unlimited) }
            if other == node || after[other] { network.connect(other, end, FlowNetwork.unlimited) }
            if before[other] { network.connect(start, other, FlowNetwork.unlimited) }
        }
        var own = 0
        for (index, buffer) in buffers.enumerated() {
            if (writers[index] + readers[index]).contains(node) {
                own += buffer.bytes
                continue
            }
            let (written, read) = (count + 2 * index, count + 2 * index + 1)
            for writer in writers[index] { network.connect(writer, written, FlowNetwork.unlimited) }
            network.connect(written, read, buffer.bytes)
            for reader in readers[index] { network.connect(read, reader, FlowNetwork.unlimited) }
        }
        return own + network.maximumFlow(from: start, to: end)
    }

    /// Marks what the node depends on, and what depends on it.
    private func neighbours(of node: Int) -> (before: [Bool], after: [Bool]) {
        var before = [Bool](repeating: false, count: sources.count), after = before
        for source in sources[node] { before[source] = true }
        for other in (0..<node).reversed() where before[other] {
            for source in sources[other] { before[source] = true }
        }
        for other in sources.indices.dropFirst(node + 1) {
            after[other] = sources[other].contains { $0 == node || after[$0] }
        }
        return (before, after)
    }
}

/// A network of capacities, and the largest flow through it.
///
/// - Source: Dinitz, *Algorithm for Solution of a Problem of Maximum Flow in a Network with Power Estimation*, 1970.
struct FlowNetwork {
    static let unlimited = Int.max / 4

    private var edges: [[Int]]
    private var target: [Int] = []
    private var room: [Int] = []

    init(vertices: Int) { edges = [[Int]](repeating: [], count: vertices) }

    mutating func connect(_ from: Int, _ to: Int, _ capacity: Int) {
        // An edge and its reverse are neighbours, so that flipping the last bit leads from one to the other.
        for (a, b, bytes) in [(from, to, capacity), (to, from, 0)] {
            edges[a].append(target.count)
            target.append(b)
            room.append(bytes)
        }
    }

    /// The flow at most; without a finite cut at least ``unlimited``.
    mutating func maximumFlow(from start: Int, to end: Int) -> Int {
        var total = 0
        while total < Self.unlimited, let level = levels(from: start, to: end) {
            var next = [Int](repeating: 0, count: edges.count)
            while let flow = augment(from: start, to: end, level, &next) { total += flow }
        }
        return total
    }

    /// Steps from the start along edges with room; `nil` when the end is out of reach.
    private func levels(from start: Int, to end: Int) -> [Int]? {
        var level = [Int](repeating: -1, count: edges.count)
        level[start] = 0
        var queue = [start], head = 0
        while head < queue.count {
            let vertex = queue[head]
            head += 1
            for edge in edges[vertex] where room[edge] > 0 && level[target[edge]] < 0 {
                level[target[edge]] = level[vertex] + 1
                queue.append(target[edge])
            }
        }
        return level[end] < 0 ? nil : level
    }

    /// Sends flow along one path of rising levels, dropping edges that lead nowhere.
    private mutating func augment(from start: Int, to end: Int, _ level: [Int], _ next: inout [Int]) -> Int? {
        var path: [Int] = [], vertex = start
        while vertex != end {
            if next[vertex] < edges[vertex].count {
                let edge = edges[vertex][next[vertex]]
                if room[edge] > 0 && level[target[edge]] == level[vertex] + 1 {
                    path.append(edge)
                    vertex = target[edge]
                } else {
                    next[vertex] += 1
                }
            } else {
                guard let last = path.popLast() else { return nil }
                vertex = target[last ^ 1]
                next[vertex] += 1
            }
        }
        let flow = path.map { room[$0] }.min() ?? 0
        for edge in path {
            room[edge] -= flow
            room[edge ^ 1] += flow
        }
        return flow
    }
}
