import IR

/// Which node writes, reads and may overwrite which stretch of memory.
struct StorageUses {
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
    var leastAtAnyNode: Int { computing.map { leastBytes(at: $0) }.max() ?? 0 }

    /// What a node keeps alive by itself: its operands, results and scratch memory.
    func leastBytes(at node: Int) -> Int {
        let all = used[node].reduce(scratch[node]) { $0 + bytes[$1] }
        return all - (written[node].isEmpty ? 0 : overwritable[node].map { bytes[$0] }.max() ?? 0)
    }

    /// The least that is alive while a node runs, over all orders in which some nodes run before it and some after.
    ///
    /// Whatever the order, some set of nodes has run that holds all that its nodes depend on. Alive are the storages which
    /// the set writes and the rest uses; the least sum over all such sets is a minimum cut.
    func leastBytes(at node: Int, after earlier: [Int], before later: [Int]) -> Int {
        let start = nodeCount + 2 * bytes.count, end = start + 1
        var network = FlowNetwork(vertices: end + 1)
        for other in computing {
            for source in sources[other] { network.connect(other, source, FlowNetwork.unlimited) }
        }
        for other in sources[node] + earlier { network.connect(start, other, FlowNetwork.unlimited) }
        for other in [node] + later { network.connect(other, end, FlowNetwork.unlimited) }
        let own = Set(used[node])
        for storage in bytes.indices where bytes[storage] > 0 && !own.contains(storage) {
            let (made, needed) = (nodeCount + 2 * storage, nodeCount + 2 * storage + 1)
            for writer in writers[storage] { network.connect(writer, made, FlowNetwork.unlimited) }
            network.connect(made, needed, bytes[storage])
            for user in users[storage] { network.connect(needed, user, FlowNetwork.unlimited) }
            if isKept[storage] { network.connect(needed, end, FlowNetwork.unlimited) }
        }
        return leastBytes(at: node) + network.maximumFlow(from: start, to: end)
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
