public import IR

/// Lets a training step forget values of its forward pass and compute them anew where the backward pass reads them, until
/// it fits into a memory limit.
///
/// Runs last before planning. Plans differ in which values are kept: all but those that are cheapest to make anew for
/// their size, or those between segments of the forward pass. The cheapest plan that fits is taken; a step that fits
/// stays as it is. Results are bit for bit those without a limit.
///
///     %1 = conv2d %x, %w            %1 = conv2d %x, %w
///     …                             …
///     %8 = unary_gradient %1, %7    %7' = conv2d %x, %w
///                                   %8 = unary_gradient %7', %7
///
/// - Parameters:
///   - limit: bytes.
///   - bytes: what a graph needs.
public func recompute(
    within limit: Int, bytes: @escaping @Sendable (Graph) throws(PassError) -> Int
) -> Pass {
    Pass("recompute") { graph throws(PassError) in
        var smallest = try bytes(graph)
        if smallest <= limit { return graph }
        guard let recomputation = Recomputation(graph) else {
            throw PassError("the graph has no backward pass and needs \(smallest) bytes, the limit is \(limit)")
        }
        for plan in recomputation.plans {
            let candidate = recomputation.forgetting(plan)
            let needed = try bytes(candidate)
            if needed <= limit { return candidate }
            smallest = min(smallest, needed)
        }
        throw PassError(
            "the step needs at least \(smallest) bytes however much is computed twice, the limit is \(limit); try a smaller batch"
        )
    }
}

/// What the backward pass of a graph reads of the forward pass. The forward pass ends with the node that makes the first
/// output, the loss.
private struct Recomputation {
    let graph: Graph
    let producers: [Int?]
    let boundary: Int
    /// Values worth forgetting, by identity.
    let candidates: [Int]
    /// The last forward node that reads each value.
    let lastForwardUse: [Int]

    /// Smaller values are always kept.
    static let smallest = 16 << 10

    init?(_ graph: Graph) {
        producers = graph.producers()
        guard let loss = graph.outputs.first, let boundary = producers[loss.id], boundary + 1 < graph.nodes.count else {
            return nil
        }
        self.graph = graph
        self.boundary = boundary
        var isRead = [Bool](repeating: false, count: graph.valueCount)
        var lastForwardUse = [Int](repeating: -1, count: graph.valueCount)
        for (index, node) in graph.nodes.enumerated() {
            for operand in node.operands {
                if index > boundary { isRead[operand.id] = true } else { lastForwardUse[operand.id] = index }
            }
        }
        self.lastForwardUse = lastForwardUse
        let outputs = Set(graph.outputs.map(\.id))
        candidates = graph.nodes[...boundary].flatMap { node in
            node.op is any SourceOperator ? [] : node.results.map(\.id)
        }.filter { id in
            graph.type(of: Value(id: id)).byteCount >= Self.smallest && !outputs.contains(id)
        }
    }

    /// What making a value costs, in multiply-accumulates: an element moved counts as eight.
    private func cost(_ id: Int) -> Int {
        guard let index = producers[id] else { return 0 }
        let node = graph.nodes[index]
        let (x, y) = (graph.types(of: node.operands), graph.types(of: node.results))
        let moved = (x + y).reduce(0) { $0 + $1.count }
        // Fused operators leave this to their decomposition, whose convolution is known by its filter.
        let filters = x.dropFirst().filter { $0.rank == 4 && $0.shape[0] == y[0].shape.dropFirst().first }
        let products = node.op.macs(x, y) ?? filters.reduce(0) { $0 + y[0].count * $1.shape[1...].reduce(1, *) }
        return products + 8 * moved
    }

    /// Sets of values to forget, the cheapest first.
    var plans: [Set<Int>] {
        let costs = Dictionary(uniqueKeysWithValues: candidates.map { ($0, cost($0)) })
        func bytes(_ id: Int) -> Int { graph.type(of: Value(id: id)).byteCount }
        let order = candidates.sorted {
            let (a, b) = (Double(costs[$0] ?? 0) / Double(bytes($0)), Double(costs[$1] ?? 0) / Double(bytes($1)))
            return (a, $0) < (b, $1)
        }
        var plans: [Set<Int>] = []
        for part in 1...8 { plans.append(Set(order.prefix(order.count * part / 8))) }
        let total = candidates.reduce(0) { $0 + bytes($1) }
        for segments in [2, 3, 4, 6, 8, 12, 16, 24, 32] {
            var (segment, seen, ends) = ([Int: Int](), 0, [Int](repeating: 0, count: segments))
            for id in candidates {
                seen += bytes(id)
                let index = min(segments - 1, seen * segments / max(total, 1))
                segment[id] = index
                ends[index] = max(ends[index], producers[id] ?? 0)
            }
            // What a later segment reads is kept.
            let inside = candidates.filter { lastForwardUse[$0] <= ends[segment[$0] ?? 0] }
            plans.append(Set(inside))
            let cheap = Set(order.prefix(order.count / 2))
            plans.append(Set(inside).union(cheap.filter { (costs[$0] ?? 0) < 16 * bytes($0) }))
        }
        let ranked = plans.map { plan in (plan, plan.reduce(0) { $0 + (costs[$1] ?? 0) }) }
        return ranked.enumerated().sorted { ($0.element.1, $0.offset) < ($1.element.1, $1.offset) }.map(\.element.0)
    }

    /// The graph in which the values are made anew by the first backward node that reads them.
    func forgetting(_ forgotten: Set<Int>) -> Graph {
        var g = GraphBuilder(name: graph.name)
        var new = [Value?](repeating: nil, count: graph.valueCount), anew = new
        for (input, name) in zip(graph.inputs, graph.inputNames) {
            new[input.id] = g.input(name, graph.type(of: input))
        }
        func read(_ value: Value, _ g: inout GraphBuilder) -> Value {
            guard forgotten.contains(value.id), let index = producers[value.id] else { return new[value.id]! }
            if let known = anew[value.id] { return known }
            let node = graph.nodes[index]
            let operands = node.operands.map { read($0, &g) }
            let results = g.copy(node, operands: operands, types: graph.types(of: node.results))
            for (old, result) in zip(node.results, results) where anew[old.id] == nil { anew[old.id] = result }
            return anew[value.id]!
        }
        for (index, node) in graph.nodes.enumerated() {
            let operands = index > boundary ? node.operands.map { read($0, &g) } : node.operands.map { new[$0.id]! }
            let results = g.copy(node, operands: operands, types: graph.types(of: node.results))
            for (old, result) in zip(node.results, results) { new[old.id] = result }
        }
        return g.finish(outputs: graph.outputs.map { new[$0.id]! }, names: graph.outputNames).pruned()
    }
}
