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

    private let uses: StorageUses
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

/// Which node writes, reads and may overwrite which stretch of memory.
private struct StorageUses {
    let nodeCount: Int
    /// The nodes that are not constants.
    let computing: [Int]
    /// Among those: what each needs, and what needs it.
    let sources: [[Int]]
    let readers: [[Int]]
    private let constants: [[Int]]
    private let scratch: [Int]
    /// By storage: its size, who writes it, who writes or reads it, and whether it outlives the graph.
    private var bytes: [Int]
    private var writers: [[Int]]
    private var users: [[Int]]
    private var isKept: [Bool]
    /// By node: the storages it writes, those it writes or reads, and those it may take over.
    private var written: [[Int]]
    private var used: [[Int]]
    private var overwritable: [[Int]]

    init(_ graph: Graph, _ sharing: MemoryPlan.Options, _ scratchBytes: [Int]) {
        nodeCount = graph.nodes.count
        scratch = scratchBytes
        let isConstant = graph.nodes.map { $0.op is any SourceOperator }
        computing = graph.nodes.indices.filter { !isConstant[$0] }
        let producers = graph.producers()
        let made = graph.nodes.map { Set($0.operands.compactMap { producers[$0.id] }).sorted() }
        sources = made.map { $0.filter { !isConstant[$0] } }
        constants = made.map { $0.filter { isConstant[$0] } }
        var readers = [[Int]](repeating: [], count: nodeCount)
        for node in computing { for source in sources[node] { readers[source].append(node) } }
        self.readers = readers

        var options = sharing
        (options.allowsInPlace, options.placesConcatenations) = (false, false)
        let layout = BufferLayout(graph, options)
        bytes = graph.types(of: (0..<graph.valueCount).map { Value(id: $0) }).map {
            MemoryPlan.align($0.byteCount, options.alignment)
        }
        isKept = [Bool](repeating: false, count: graph.valueCount)
        let arena = Set(layout.arenaRoots)
        for root in bytes.indices where !arena.contains(root) { bytes[root] = 0 }
        for output in graph.outputs { isKept[layout.root(of: output)] = true }
        let home = (0..<graph.valueCount).map { layout.root(of: Value(id: $0)) }
        overwritable = graph.nodes.map { node in
            guard let result = node.results.first, node.results.count == 1, home[result.id] == result.id else {
                return []
            }
            return node.op.inPlaceOperands(graph.types(of: node.operands), [graph.type(of: result)])
                .map { home[node.operands[$0].id] }
                .filter {
                    arena.contains($0) && graph.type(of: Value(id: $0)).byteCount == graph.type(of: result).byteCount
                }
        }
        writers = [[Int]](repeating: [], count: graph.valueCount)
        users = writers
        written = [[Int]](repeating: [], count: nodeCount)
        used = written
        let parts = sharing.placesConcatenations ? layout.placements(graph) : [:]
        var inside = home
        // What is taken over, or made in its place, on the way to an output lies in the caller's memory.
        for node in computing.reversed() {
            guard let result = graph.nodes[node].results.first else { continue }
            let target = home[result.id]
            for root in parts[node] ?? [] where inside[root] == root && !isKept[root] {
                inside[root] = target
                if bytes[target] == 0 { bytes[root] = 0 }
            }
            // One operand is taken over; the others stay in the arena.
            if bytes[target] == 0, let root = overwritable[node].first(where: { !isKept[$0] }) { bytes[root] = 0 }
        }
        func storage(_ value: Value) -> Int {
            var root = home[value.id]
            while inside[root] != root { root = home[inside[root]] }
            return root
        }
        for node in computing {
            let results = Set(graph.nodes[node].results.filter { home[$0.id] == $0.id }.map(storage)).sorted()
            let all = Set((graph.nodes[node].operands + graph.nodes[node].results).map(storage)).sorted()
            written[node] = results.filter { bytes[$0] > 0 }
            used[node] = all.filter { bytes[$0] > 0 }
            overwritable[node] = overwritable[node].filter { bytes[$0] > 0 && inside[$0] == $0 }
            for root in written[node] { writers[root].append(node) }
            for root in used[node] { users[root].append(node) }
        }
    }

    /// What must be alive at the node that needs most by itself.
    var leastAtAnyNode: Int {
        computing.reduce(0) { least, node in
            let all = used[node].reduce(scratch[node]) { $0 + bytes[$1] }
            let shared = written[node].isEmpty ? 0 : overwritable[node].map { bytes[$0] }.max() ?? 0
            return max(least, all - shared)
        }
    }

    /// How much more is alive while a node runs and after it, once the others have run.
    func change(of node: Int, in done: (Int) -> Bool) -> (during: Int, after: Int) {
        var new = 0, freed = 0, takenOver = 0
        for root in written[node] where !writers[root].contains(where: done) { new += bytes[root] }
        for root in used[node] where !isKept[root] && users[root].allSatisfy({ $0 == node || done($0) }) {
            freed += bytes[root]
            if new > 0, overwritable[node].contains(root) { takenOver = max(takenOver, bytes[root]) }
        }
        return (new - min(takenOver, new) + scratch[node], new - freed)
    }

    func withConstants(_ order: [Int]) -> [Int] {
        var isPlaced = [Bool](repeating: false, count: nodeCount)
        var all: [Int] = []
        for node in order {
            for constant in constants[node] where !isPlaced[constant] {
                isPlaced[constant] = true
                all.append(constant)
            }
            isPlaced[node] = true
            all.append(node)
        }
        // Those that are outputs themselves.
        return all + (0..<nodeCount).filter { !isPlaced[$0] }
    }
}
