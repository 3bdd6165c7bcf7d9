import IR

/// Looks for the order of a graph's nodes that keeps least alive at once, among all of them.
///
/// A state is the set of nodes that have run. Those that can be reached with no more than a limit alive are visited depth
/// first; when none is left, the limit rises to the least that any step out of them needs. So the first order that is
/// complete is best, and when the search is given up, the limit is still a bound for every order. A node that frees as
/// much as it takes runs at once: moving it forward makes no later step need more.
struct OrderSearch {
    /// What the search came to.
    struct Outcome {
        /// The best order; `nil` when there is none below the ceiling, or the states were too many.
        var order: [Int]?
        /// No order keeps less alive than this.
        var leastBytes: Int
        /// Whether an order reaches ``leastBytes``, or the ceiling does.
        var isExact: Bool
    }

    /// Where one set of nodes stands.
    private struct State {
        var done: [UInt64]
        var ready: [Int]
        var live = 0
        var parent: Int?
        /// The nodes that ran since the parent.
        var moves: [Int] = []

        func contains(_ node: Int) -> Bool { done[node >> 6] >> UInt64(node & 63) & 1 == 1 }
    }

    let uses: StorageUses
    private let count: Int

    init(_ graph: Graph, sharing: MemoryPlan.Options, scratchBytes: [Int]) {
        uses = StorageUses(graph, sharing, scratchBytes)
        count = uses.computing.count
    }

    /// - Parameters:
    ///   - ceiling: the bytes of an order that is known; only a better one is looked for.
    ///   - limit: how many states are looked at before the search is given up.
    func run(below ceiling: Int, limit: Int) -> Outcome {
        var budget = uses.leastAtAnyNode
        if budget >= ceiling { return Outcome(order: nil, leastBytes: ceiling, isExact: true) }
        var start = State(
            done: [UInt64](repeating: 0, count: (uses.nodeCount + 63) / 64),
            ready: uses.computing.filter { uses.sources[$0].isEmpty })
        advance(&start, within: budget)
        var states = [start], seen: Set = [start.done]
        var stack: [(state: Int, node: Int)] = [], later: [(bytes: Int, state: Int, node: Int)] = []
        func expand(_ index: Int) {
            let state = states[index]
            var steps = state.ready.map { (node: $0, change: uses.change(of: $0, in: state.contains)) }
            // The last is taken first: what leaves least alive.
            steps.sort { ($1.change.after, $1.node) < ($0.change.after, $0.node) }
            for step in steps {
                let bytes = state.live + step.change.during
                if bytes <= budget { stack.append((index, step.node)) } else { later.append((bytes, index, step.node)) }
            }
        }
        if start.ready.isEmpty { return Outcome(order: order(of: start, states), leastBytes: budget, isExact: true) }
        expand(0)
        while true {
            guard let step = stack.popLast() else {
                guard let next = later.map(\.bytes).min(), next < ceiling else { break }
                budget = next
                stack = later.filter { $0.bytes <= budget }.map { ($0.state, $0.node) }
                later.removeAll { $0.bytes <= budget }
                continue
            }
            var state = states[step.state]
            state.parent = step.state
            state.moves = []
            run(step.node, &state)
            advance(&state, within: budget)
            guard seen.insert(state.done).inserted else { continue }
            if state.ready.isEmpty {
                return Outcome(order: order(of: state, states), leastBytes: budget, isExact: true)
            }
            if states.count == limit { return Outcome(order: nil, leastBytes: budget, isExact: false) }
            states.append(state)
            expand(states.count - 1)
        }
        return Outcome(order: nil, leastBytes: ceiling, isExact: true)
    }

    private func run(_ node: Int, _ state: inout State) {
        state.live += uses.change(of: node, in: state.contains).after
        state.done[node >> 6] |= 1 << UInt64(node & 63)
        state.moves.append(node)
        state.ready.removeAll { $0 == node }
        for reader in uses.readers[node] where uses.sources[reader].allSatisfy(state.contains) {
            state.ready.append(reader)
        }
    }

    /// Runs what is ready and leaves no more alive than there was.
    private func advance(_ state: inout State, within budget: Int) {
        while let node = state.ready.first(where: { node in
            let change = uses.change(of: node, in: state.contains)
            return change.after <= 0 && state.live + change.during <= budget
        }) { run(node, &state) }
    }

    /// All nodes in the order that led to a state, constants before their first use.
    private func order(of last: State, _ states: [State]) -> [Int] {
        var chain: [[Int]] = [], state: State? = last
        while let current = state {
            chain.append(current.moves)
            state = current.parent.map { states[$0] }
        }
        return uses.withConstants(chain.reversed().flatMap { $0 })
    }
}
