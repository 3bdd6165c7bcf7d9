import IR

/// Which values share a buffer: a forest over values, in which every value knows its offset in its parent's memory.
struct BufferLayout {
    private enum Owner { case arena, external, output(Int) }

    private var parent: [Int]
    private var offset: [Int]
    private var owner: [Owner]
    private var bytes: [Int]
    /// Of the whole buffer, for roots: the first and last step at which it is in use.
    private var birth: [Int]
    private var death: [Int]
    /// The first and last node that writes over an earlier value of the buffer.
    private var firstOverwrite: [Int]
    private var lastWrite: [Int]
    private let alignment: Int
    private(set) var copiedOutputs: [Int] = []
    /// The offset in the arena of each root, once placed.
    var address: [Int]

    init(_ graph: Graph, _ options: MemoryPlan.Options) {
        let count = graph.valueCount
        alignment = options.alignment
        parent = Array(0..<count)
        offset = Array(repeating: 0, count: count)
        owner = Array(repeating: .arena, count: count)
        bytes = (0..<count).map { graph.type(of: Value(id: $0)).byteCount }
        birth = Array(repeating: -1, count: count)
        death = birth
        firstOverwrite = Array(repeating: .max, count: count)
        lastWrite = birth
        address = offset
        for input in graph.inputs { owner[input.id] = .external }
        let isViewed = define(graph, options)
        use(graph, options)
        if options.allowsInPlace { overwriteOperands(graph, isViewed) }
        if options.placesConcatenations { placeOperands(graph) }
    }

    // MARK: Sharing

    /// Gives every value its birth and links views; returns which nodes are views.
    private mutating func define(_ graph: Graph, _ options: MemoryPlan.Options) -> [Bool] {
        var isView = [Bool](repeating: false, count: graph.nodes.count)
        for (step, node) in graph.nodes.enumerated() {
            for result in node.results {
                birth[result.id] = step
                death[result.id] = step
                lastWrite[result.id] = step
                if node.op is any SourceOperator { owner[result.id] = .external }
            }
            guard let operand = node.operands.first, node.results.count == 1,
                let start = node.op.viewOffset(graph.types(of: node.operands), graph.types(of: node.results)),
                start % alignment == 0,
                options.viewsParts || bytes[node.results[0].id] == bytes[operand.id]
            else { continue }
            isView[step] = true
            parent[node.results[0].id] = operand.id
            offset[node.results[0].id] = start
        }
        return isView
    }

    /// Extends every buffer's life to its last use, and hands buffers that are outputs to the caller.
    private mutating func use(_ graph: Graph, _ options: MemoryPlan.Options) {
        for (step, node) in graph.nodes.enumerated() {
            for value in node.operands + node.results {
                let root = find(value.id).root
                death[root] = max(death[root], step)
            }
        }
        for (index, output) in graph.outputs.enumerated() {
            let (root, start) = find(output.id)
            death[root] = max(death[root], graph.nodes.count)
            if options.outputsInArena { continue }
            if case .arena = owner[root], start == 0, bytes[root] == bytes[output.id] {
                owner[root] = .output(index)
            } else {
                copiedOutputs.append(index)
            }
        }
    }

    /// Lets results take over operands that die with the node.
    private mutating func overwriteOperands(_ graph: Graph, _ isView: [Bool]) {
        for (step, node) in graph.nodes.enumerated() where node.results.count == 1 && !isView[step] {
            let result = node.results[0]
            let candidates = node.op.inPlaceOperands(graph.types(of: node.operands), graph.types(of: node.results))
            for candidate in candidates {
                let root = find(node.operands[candidate].id).root
                guard isFree(root, from: step, for: result.id) else { continue }
                // Other operands in the same memory must be read element by element, too.
                let isSafe = node.operands.indices.allSatisfy { index in
                    let operand = node.operands[index]
                    let (other, start) = find(operand.id)
                    return other != root
                        || (candidates.contains(index) && start == 0
                            && graph.type(of: operand) == graph.type(of: result))
                }
                guard isSafe else { continue }
                if case .output(let index) = owner[result.id] { owner[root] = .output(index) }
                parent[result.id] = root
                death[root] = death[result.id]
                firstOverwrite[root] = min(firstOverwrite[root], step)
                lastWrite[root] = step
                break
            }
        }
    }

    private func isFree(_ root: Int, from step: Int, for result: Int) -> Bool {
        guard case .arena = owner[root] else { return false }
        return birth[root] < step && death[root] == step && bytes[root] == bytes[result]
    }

    /// Lets operands of concatenations be made inside the result.
    private mutating func placeOperands(_ graph: Graph) {
        for (step, node) in graph.nodes.enumerated() where node.results.count == 1 {
            guard let starts = node.op.placedOperands(graph.types(of: node.operands), graph.types(of: node.results))
            else { continue }
            for (operand, start) in zip(node.operands, starts) where start % alignment == 0 {
                let (root, inside) = find(operand.id)
                let (target, base) = find(node.results[0].id)
                guard case .arena = owner[root], root != target, inside == 0, bytes[root] == bytes[operand.id],
                    birth[root] >= 0,
                    // Neither may the operand's memory change after this node, nor the result's while the operand is read.
                    lastWrite[root] < step, death[root] < firstOverwrite[target]
                else { continue }
                if case .external = owner[target] { continue }
                parent[root] = target
                offset[root] = base + start
                birth[target] = min(birth[target], birth[root])
                death[target] = max(death[target], death[root])
                lastWrite[target] = max(lastWrite[target], lastWrite[root])
            }
        }
    }

    /// The operands of each concatenation, by node, that could be made inside the result, by their buffers.
    func placements(_ graph: Graph) -> [Int: [Int]] {
        var placements: [Int: [Int]] = [:]
        for (step, node) in graph.nodes.enumerated() where node.results.count == 1 {
            guard let starts = node.op.placedOperands(graph.types(of: node.operands), graph.types(of: node.results))
            else { continue }
            for (operand, start) in zip(node.operands, starts) where start % alignment == 0 {
                let (root, inside) = find(operand.id)
                guard case .arena = owner[root], inside == 0, bytes[root] == bytes[operand.id], birth[root] >= 0,
                    !(placements[step]?.contains(root) ?? false)
                else { continue }
                placements[step, default: []].append(root)
            }
        }
        return placements
    }

    /// The value whose memory a value lies in.
    func root(of value: Value) -> Int { find(value.id).root }

    private func find(_ value: Int) -> (root: Int, offset: Int) {
        var (root, start) = (value, 0)
        while parent[root] != root {
            start += offset[root]
            root = parent[root]
        }
        return (root, start)
    }

    // MARK: Results

    /// Roots of buffers in the arena, in order of identity.
    var arenaRoots: [Int] {
        parent.indices.filter { if case .arena = owner[$0] { parent[$0] == $0 && birth[$0] >= 0 } else { false } }
    }

    func items(_ graph: Graph, _ options: MemoryPlan.Options) -> [Placement.Item] {
        arenaRoots.map { root in
            Placement.Item(
                bytes: MemoryPlan.align(bytes[root], alignment), first: birth[root],
                last: max(birth[root], min(death[root], graph.nodes.count - 1)))
        }
    }

    func liveBytes(_ graph: Graph, _ scratch: [Int], _ options: MemoryPlan.Options) -> [Int] {
        var change = [Int](repeating: 0, count: graph.nodes.count + 1)
        for item in items(graph, options) {
            change[item.first] += item.bytes
            change[item.last + 1] -= item.bytes
        }
        var live = 0
        return graph.nodes.indices.map { step in
            live += change[step]
            return live + MemoryPlan.align(scratch[step], alignment)
        }
    }

    func place(of value: Int) -> MemoryPlan.Place {
        let (root, start) = find(value)
        return switch owner[root] {
        case .external: MemoryPlan.Place(base: .external(Value(id: root)), offset: start)
        case .output(let index): MemoryPlan.Place(base: .output(index), offset: start)
        case .arena: MemoryPlan.Place(base: .arena, offset: address[root] + start)
        }
    }

    func buffers(_ items: [Placement.Item], _ offsets: [Int]) -> [MemoryPlan.Buffer] {
        let roots = arenaRoots
        var members = [[Value]](repeating: [], count: parent.count)
        for value in parent.indices { members[find(value).root].append(Value(id: value)) }
        return zip(items, offsets).enumerated().map { index, placed in
            MemoryPlan.Buffer(
                values: index < roots.count ? members[roots[index]] : [], offset: placed.1, bytes: placed.0.bytes,
                steps: placed.0.first...placed.0.last)
        }.sorted { ($0.offset, $0.steps.lowerBound) < ($1.offset, $1.steps.lowerBound) }
    }
}
