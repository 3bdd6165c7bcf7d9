import IR

/// Puts the nodes in an order that needs less memory at once, when it finds one.
///
/// Runs last, before planning: other passes keep or make an order of their own. Optional: the given order is right.
/// Several orders are tried; the one that can be placed in the least memory is taken, the given one where none is better.
///
///     %1 = relu %x                %1 = relu %x
///     %2 = concat %1, %1, %1      %2 = concat %1, %1, %1
///     %3 = concat %1, %1, %1  →   %3 = reduce_mean %2
///     %4 = reduce_mean %2         %4 = concat %1, %1, %1
///     %5 = reduce_mean %3         %5 = reduce_mean %4
///     …                           …
public let orderForMemory = ordering { [Int](repeating: 0, count: $0.nodes.count) }

/// ``orderForMemory`` for nodes that need memory of their own while they run.
///
/// - Parameter scratchBytes: the scratch memory of each node of a graph.
public func orderForMemory(scratchBytes: @escaping @Sendable (Graph) -> [Int]) -> Pass { ordering(scratchBytes) }

private func ordering(_ scratchBytes: @escaping @Sendable (Graph) -> [Int]) -> Pass {
    Pass("order-for-memory") { graph throws(PassError) in
        var trial = OrderTrial(graph, scratchBytes(graph))
        let orders = MemoryOrders(graph)
        trial.consider(orders.depthFirst())
        trial.consider(orders.greedy(prefersRecent: true))
        trial.consider(orders.greedy(prefersRecent: false))
        for sharing in MemoryPlan.Options().variants(for: graph) {
            let search = OrderSearch(graph, sharing: sharing, scratchBytes: trial.scratch)
            if let order = search.run(below: trial.lowest, limit: 2000).order { trial.consider(order) }
        }
        trial.postpone(orders)
        return trial.best
    }
}

/// Orders of a graph's nodes, and how much each keeps alive.
private struct OrderTrial {
    let graph: Graph
    /// Scratch memory of each node, aligned.
    let scratch: [Int]
    private var tried: [(order: [Int], peak: Int)] = []

    init(_ graph: Graph, _ scratchBytes: [Int]) {
        self.graph = graph
        scratch = scratchBytes.map { MemoryPlan.align($0, MemoryPlan.Options().alignment) }
        consider(Array(graph.nodes.indices))
    }

    /// The least that any of the orders keeps alive at its busiest node.
    var lowest: Int { tried.map(\.peak).min() ?? 0 }

    mutating func consider(_ order: [Int]) { tried.append((order, plan(order, .quick).lowerBound)) }

    /// The graph in the order whose buffers find room in the least memory; the earlier one among equals.
    var best: Graph {
        var best: (order: [Int], bytes: Int)?
        for (order, peak) in tried.enumerated().sorted(by: { ($0.1.peak, $0.0) < ($1.1.peak, $1.0) }).map(\.element) {
            if let best, peak >= best.bytes { break }
            let bytes = plan(order, .thorough).arenaBytes
            if bytes < best?.bytes ?? .max { best = (order, bytes) }
        }
        return best.map { $0.order == Array(graph.nodes.indices) ? graph : graph.ordered($0.order) } ?? graph
    }

    /// Moves nodes from before the busiest one behind it, just before their results are read, where that keeps less alive.
    mutating func postpone(_ orders: MemoryOrders) {
        guard var (order, _) = tried.min(by: { $0.peak < $1.peak }) else { return }
        var current = plan(order, .quick), attempts = min(400, 200_000 / max(graph.nodes.count, 1))
        /// How high the peak is, and at how many steps.
        func measure(_ plan: MemoryPlan) -> (Int, Int) {
            (plan.lowerBound, plan.liveBytes.count { $0 == plan.lowerBound })
        }
        search: while let busiest = current.peakNode {
            for position in (0..<busiest).reversed() where orders.bytes[order[position]] > 0 {
                let readers = Set(orders.readers[order[position]])
                guard let reader = order.firstIndex(where: readers.contains), reader > busiest else { continue }
                if attempts == 0 { break search }
                attempts -= 1
                var changed = order
                changed.insert(changed[position], at: reader)
                changed.remove(at: position)
                let next = plan(changed, .quick)
                if measure(next) < measure(current) {
                    (order, current) = (changed, next)
                    continue search
                }
            }
            break
        }
        if current.lowerBound < lowest { tried.append((order, current.lowerBound)) }
    }

    private func plan(_ order: [Int], _ effort: MemoryPlan.Effort) -> MemoryPlan {
        MemoryPlan(graph.ordered(order), options: .init(effort: effort)) { index, _ in scratch[order[index]] }
    }
}

extension Graph {
    /// The same nodes in another order, in which every operand still comes before its use.
    func ordered(_ order: [Int]) -> Graph {
        var g = GraphBuilder(name: name)
        var new = [Value?](repeating: nil, count: valueCount)
        for (input, name) in zip(inputs, inputNames) { new[input.id] = g.input(name, type(of: input)) }
        for index in order {
            let node = nodes[index]
            let results = g.copy(node, operands: node.operands.map { new[$0.id]! }, types: types(of: node.results))
            for (old, result) in zip(node.results, results) { new[old.id] = result }
        }
        return g.finish(outputs: outputs.map { new[$0.id]! }, names: outputNames)
    }
}

/// Orders of a graph's nodes that try to keep little alive.
private struct MemoryOrders {
    let graph: Graph
    let producers: [Int?]
    /// Bytes that each node's results take, nothing for views and for what the caller keeps.
    let bytes: [Int]
    /// The nodes that make each node's operands, without repetition, and those that read its results.
    let sources: [[Int]]
    let readers: [[Int]]

    init(_ graph: Graph) {
        self.graph = graph
        let producers = graph.producers()
        self.producers = producers
        bytes = graph.nodes.map { node in
            if node.op is any SourceOperator { return 0 }
            if node.op.viewOffset(graph.types(of: node.operands), graph.types(of: node.results)) != nil { return 0 }
            return node.results.reduce(0) { $0 + graph.type(of: $1).byteCount }
        }
        var sources: [[Int]] = []
        var readers = [[Int]](repeating: [], count: graph.nodes.count)
        for (index, node) in graph.nodes.enumerated() {
            let made = Set(node.operands.compactMap { producers[$0.id] }).sorted()
            sources.append(made)
            for source in made { readers[source].append(index) }
        }
        self.sources = sources
        self.readers = readers
    }

    /// Every node behind what it needs, the operand with the largest excess of its peak over its result first.
    ///
    /// - Source: Sethi & Ullman, *The Generation of Optimal Code for Arithmetic Expressions*, Journal of the ACM 17, 1970;
    ///   exact for trees.
    func depthFirst() -> [Int] {
        var peaks = [Int](repeating: 0, count: graph.nodes.count)
        var arranged = sources
        for index in graph.nodes.indices {
            arranged[index].sort { (peaks[$1] - bytes[$1], $0) < (peaks[$0] - bytes[$0], $1) }
            var held = 0
            for source in arranged[index] {
                peaks[index] = max(peaks[index], held + peaks[source])
                held += bytes[source]
            }
            peaks[index] = max(peaks[index], held + bytes[index])
        }
        var order: [Int] = []
        var isDone = [Bool](repeating: false, count: graph.nodes.count)
        // The nodes that nobody reads come in the order they had, as do those behind them.
        for root in graph.nodes.indices
        where readers[root].isEmpty || graph.nodes[root].results.contains(where: graph.outputs.contains) {
            var stack = [(node: root, next: 0)]
            while let (node, next) = stack.last {
                if isDone[node] {
                    stack.removeLast()
                } else if next < arranged[node].count {
                    stack[stack.count - 1].next += 1
                    if !isDone[arranged[node][next]] { stack.append((arranged[node][next], 0)) }
                } else {
                    isDone[node] = true
                    order.append(node)
                    stack.removeLast()
                }
            }
        }
        return order
    }

    /// Again and again the node that adds least to what is alive; among equals a recent reader, or the earliest.
    func greedy(prefersRecent: Bool) -> [Int] {
        var waiting = sources.map(\.count)
        var unread = readers.map(\.count)
        for output in graph.outputs { if let producer = producers[output.id] { unread[producer] += 1 } }
        var madeAt = [Int](repeating: -1, count: graph.nodes.count)
        var ready = graph.nodes.indices.filter { waiting[$0] == 0 }
        var order: [Int] = []
        func rank(_ node: Int) -> (Int, Int, Int) {
            let freed = sources[node].reduce(0) { $0 + (unread[$1] == 1 ? bytes[$1] : 0) }
            let recent = prefersRecent ? -(sources[node].map { madeAt[$0] }.max() ?? -1) : 0
            return (bytes[node] - freed, recent, node)
        }
        while !ready.isEmpty {
            var (best, lowest) = (0, rank(ready[0]))
            for position in ready.indices.dropFirst() {
                let other = rank(ready[position])
                if other < lowest { (best, lowest) = (position, other) }
            }
            let node = ready.remove(at: best)
            madeAt[node] = order.count
            order.append(node)
            for source in sources[node] { unread[source] -= 1 }
            for reader in readers[node] {
                waiting[reader] -= 1
                if waiting[reader] == 0 { ready.append(reader) }
            }
        }
        return order
    }
}
