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
    /// Where they are not, by what the busiest nodes of this order need in any, alone and two at a time.
    ///
    /// - Parameter limit: how many sets of nodes the search may look at.
    public func bestOrder(of graph: Graph, limit: Int = 20_000) -> OrderBound {
        var scratch = [Int](repeating: 0, count: graph.nodes.count)
        for buffer in buffers where buffer.values.isEmpty { scratch[buffer.steps.lowerBound] = buffer.bytes }
        let busiest = graph.nodes.indices.filter { !(graph.nodes[$0].op is any SourceOperator) }
            .sorted { (liveBytes[$1], $0) < (liveBytes[$0], $1) }.prefix(10)
        var bound = OrderBound(bytes: lowerBound, isExact: true)
        for sharing in Options().variants(for: graph) {
            let search = OrderSearch(graph, sharing: sharing, scratchBytes: scratch)
            let outcome = search.run(below: lowerBound, limit: limit)
            var (bytes, isExact) = (outcome.leastBytes, outcome.isExact)
            if !isExact {
                bytes = max(bytes, search.uses.leastBytes(atAnyOf: Array(busiest)))
                if bytes >= lowerBound { (bytes, isExact) = (lowerBound, true) }
            }
            if bytes < bound.bytes { bound = OrderBound(bytes: bytes, isExact: isExact) }
        }
        return bound
    }
}

extension StorageUses {
    /// Bytes that no order gets by with, for a few nodes.
    ///
    /// Of two nodes one runs first: what both need is the least over both cases of what the busier one needs in each.
    fileprivate func leastBytes(atAnyOf nodes: [Int]) -> Int {
        var least = nodes.map { leastBytes(at: $0, after: [], before: []) }.max() ?? 0
        for (position, node) in nodes.enumerated() {
            for other in nodes.prefix(position) where !depends(node, on: other) && !depends(other, on: node) {
                func inTurn(_ first: Int, _ second: Int) -> Int {
                    let bytes = leastBytes(at: first, after: [], before: [second])
                    return max(bytes, leastBytes(at: second, after: [first], before: []))
                }
                let one = inTurn(node, other)
                if one > least { least = max(least, min(one, inTurn(other, node))) }
            }
        }
        return least
    }

    private func depends(_ node: Int, on other: Int) -> Bool {
        var isSeen = [Bool](repeating: false, count: nodeCount), waiting = [node]
        while let next = waiting.popLast() {
            if next == other { return true }
            for source in sources[next] where !isSeen[source] {
                isSeen[source] = true
                waiting.append(source)
            }
        }
        return false
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
