import IR
import Operators

/// Joins separable convolutions that read one image, and what they add to its gradient.
///
/// Runs on a training step, after normalisations are fused. Optional: without it the image is read and normalised for every
/// one of them, in both directions, and every one's part of its gradient is written to memory, to be read back by a sum.
/// Only as many are joined as have their filters in the cache.
///
///     %1, %m1, %v1 = normalized_chains %x, %w1, %u1                %1, %m1, %v1, %2, … = normalized_chains %x, %w1, %u1, %w2, %u2
///     %2, %m2, %v2 = normalized_chains %x, %w2, %u2           →    …
///     …                                                            %5, … = normalized_chains_gradient %x, %g1, %w1, %u1, %g2, …
///     %3, … = normalized_chains_gradient %x, %g1, %w1, %u1         %4 = add %5, %8
///     %4 = normalized_sum %3, %6, %8
public let joinChains = Pass("join-chains") { graph throws(PassError) in
    var joining = ChainJoining(graph)
    do throws(ShapeError) { return try joining.run() } catch { throw PassError(error) }
}

private struct ChainJoining {
    typealias Term = NormalisationFusion.Term

    /// What chains have in common that are joined.
    struct Key: Hashable {
        var shared: [Value]
        var activation: NormalisedActivation
        /// Moments forward, denormalises backward.
        var flag: Bool
        var size: [Int]
        /// The sum that takes the gradient, by its node; none forward.
        var sum: Int?
    }

    let graph: Graph
    let uses: [Int]
    let users: [[Int]]
    let producers: [Int?]
    /// Nodes that are joined, by their group; groups hold nodes in order.
    var groups: [[Int]] = []
    var groupOf: [Int: Int] = [:]
    /// Sums whose terms are those of the sum that reads them.
    var dissolved: Set<Int> = []
    /// Terms of the sums that take joined gradients, in values of the old graph.
    var sums: [Int: [Term]] = [:]
    /// Groups of gradients by the sum that takes them.
    var gradients: [Int: [Int]] = [:]
    var g: GraphBuilder
    var new: [Value?]

    init(_ graph: Graph) {
        self.graph = graph
        uses = graph.useCounts()
        var users = [[Int]](repeating: [], count: graph.valueCount)
        for (index, node) in graph.nodes.enumerated() {
            for operand in node.operands where users[operand.id].last != index { users[operand.id].append(index) }
        }
        self.users = users
        producers = graph.producers()
        g = GraphBuilder(name: graph.name)
        new = Array(repeating: nil, count: graph.valueCount)
    }

    mutating func run() throws(ShapeError) -> Graph {
        findForward()
        findBackward()
        if groups.isEmpty { return graph }
        for (input, name) in zip(graph.inputs, graph.inputNames) {
            new[input.id] = g.input(name, graph.type(of: input))
        }
        for (index, node) in graph.nodes.enumerated() where !dissolved.contains(index) {
            if node.op is Parameter {
                _ = read(node.results[0])
            } else if let group = groupOf[index] {
                if groups[group][0] == index, let op = node.op as? NormalizedChains { try append(groups[group], op) }
            } else if let terms = sums[index] {
                var all: [Term] = []
                for group in gradients[index] ?? [] {
                    if let joined = try appendGradients(groups[group]) { all.append(Term(value: joined)) }
                }
                for term in terms { all.append(read(term)) }
                let activation = (node.op as? NormalizedSum)?.activation ?? NormalisedActivation()
                new[node.results[0].id] = try g.sum(of: all, activation, name: node.name)
            } else {
                let results = g.copy(node, operands: read(node.operands), types: graph.types(of: node.results))
                for (old, result) in zip(node.results, results) { new[old.id] = result }
            }
        }
        return g.finish(outputs: read(graph.outputs), names: graph.outputNames).pruned()
    }

    /// A value of the new graph; parameters are made when they are first asked for.
    private mutating func read(_ value: Value) -> Value {
        if let known = new[value.id] { return known }
        guard let index = producers[value.id], graph.nodes[index].op is Parameter else {
            preconditionFailure("%\(value.id) is read before it is made")
        }
        let node = graph.nodes[index]
        let made = g.copy(node, operands: [], types: graph.types(of: node.results))[0]
        new[value.id] = made
        return made
    }
    private mutating func read(_ values: some Sequence<Value>) -> [Value] {
        var found: [Value] = []
        for value in values { found.append(read(value)) }
        return found
    }
    private mutating func read(_ term: Term) -> Term {
        var made = Term(value: read(term.value))
        if let scale = term.scale { made.scale = read(scale) }
        if let shift = term.shift { made.shift = read(shift) }
        if let weight = term.weight { made.weight = (read(weight.vector), weight.index) }
        return made
    }

    // MARK: Finding

    /// Collects nodes of one key, as many in a group as fit.
    private mutating func collect(_ found: [(key: Key, index: Int)]) {
        var open: [Key: Int] = [:]
        var candidates: [[Int]] = []
        for (key, index) in found {
            if let known = open[key], fits(candidates[known] + [index]) {
                candidates[known].append(index)
            } else {
                open[key] = candidates.count
                candidates.append([index])
            }
        }
        for candidate in candidates where candidate.count > 1 {
            for index in candidate { groupOf[index] = groups.count }
            groups.append(candidate)
        }
    }

    private func fits(_ nodes: [Int]) -> Bool {
        let types = nodes.map { graph.types(of: graph.nodes[$0].operands) }
        switch graph.nodes[nodes[0]].op {
        case let op as NormalizedChains:
            let at = op.sharedOperands
            return nodes.flatMap { (graph.nodes[$0].op as? NormalizedChains)?.convolutions ?? [] }
                .fuseAsChains(types[0][0], types.map { ($0[at], $0[at + 1]) })
        case let op as NormalizedChainsGradient:
            let at = op.sharedOperands
            return nodes.flatMap { (graph.nodes[$0].op as? NormalizedChainsGradient)?.convolutions ?? [] }
                .fuseAsChains(types[0][0], types.map { ($0[at + 1], $0[at + 2]) })
        default: return false
        }
    }

    private mutating func findForward() {
        var found: [(key: Key, index: Int)] = [], first: [Key: Int] = [:]
        for (index, node) in graph.nodes.enumerated() {
            guard let op = node.op as? NormalizedChains, op.convolutions.count == 1 else { continue }
            let key = Key(
                shared: Array(node.operands.prefix(op.sharedOperands)), activation: op.activation, flag: op.moments,
                size: Array(graph.type(of: node.results[0]).shape[2...]))
            let start = first[key] ?? index
            first[key] = start
            // The filters are read where the first of the group stands.
            let isReady = node.operands.dropFirst(op.sharedOperands).allSatisfy { filter in
                guard let made = producers[filter.id] else { return true }
                return made < start || graph.nodes[made].op is Parameter
            }
            if isReady { found.append((key, index)) }
        }
        collect(found)
    }

    private mutating func findBackward() {
        let before = groups.count
        var found: [(key: Key, index: Int)] = []
        for (index, node) in graph.nodes.enumerated() {
            guard let op = node.op as? NormalizedChainsGradient, op.convolutions.count == 1, op.wantsInput,
                !op.wantsSums, let sum = outermostSum(node.results[0])
            else { continue }
            // The gradients are made where the sum stands.
            guard node.results.dropFirst().allSatisfy({ users[$0.id].allSatisfy { $0 > sum } }) else { continue }
            let shape = graph.type(of: node.operands[op.sharedOperands]).shape
            let key = Key(
                shared: Array(node.operands.prefix(op.sharedOperands)), activation: op.activation,
                flag: op.denormalizes, size: Array(shape[2...]), sum: sum)
            found.append((key, index))
        }
        collect(found)
        for (group, nodes) in groups.enumerated().dropFirst(before) {
            guard let sum = outermostSum(graph.nodes[nodes[0]].results[0]) else { continue }
            gradients[sum, default: []].append(group)
        }
        for sum in gradients.keys.sorted() { sums[sum] = remainingTerms(of: sum) }
    }

    /// The terms of a sum of images, if the node is one.
    private func terms(of index: Int) -> [Term]? {
        let node = graph.nodes[index]
        if node.op is Add, node.operands.allSatisfy({ graph.type(of: $0) == graph.type(of: node.results[0]) }) {
            return node.operands.map { Term(value: $0) }
        }
        guard let op = node.op as? NormalizedSum else { return nil }
        var (terms, at): ([Term], Int) = ([], 0)
        for term in op.terms {
            var made = Term(value: node.operands[at])
            at += 1
            if term.normalizes {
                (made.scale, made.shift) = (node.operands[at], node.operands[at + 1])
                at += 2
            }
            if term.weight >= 0 {
                made.weight = (node.operands[at], term.weight)
                at += 1
            }
            terms.append(made)
        }
        return terms
    }

    /// The sum that alone reads a value, as it is.
    private func sum(of value: Value) -> Int? {
        guard uses[value.id] == 1, let index = users[value.id].first, let terms = terms(of: index),
            terms.contains(where: { $0.value == value && $0.scale == nil && $0.weight == nil })
        else { return nil }
        return index
    }

    /// The last of the sums that take up a value one after another.
    private func outermostSum(_ value: Value) -> Int? {
        guard var index = sum(of: value) else { return nil }
        while isLinear(index), let next = sum(of: graph.nodes[index].results[0]) { index = next }
        return index
    }

    private func isLinear(_ index: Int) -> Bool {
        (graph.nodes[index].op as? NormalizedSum)?.activation.function.isEmpty ?? true
    }

    /// The terms of a sum and of the sums within it, without the gradients that are joined.
    private mutating func remainingTerms(of index: Int) -> [Term] {
        var all: [Term] = []
        for term in terms(of: index) ?? [] {
            guard term.scale == nil, term.weight == nil, uses[term.value.id] == 1,
                let made = producers[term.value.id]
            else {
                all.append(term)
                continue
            }
            if groupOf[made] != nil, graph.nodes[made].op is NormalizedChainsGradient { continue }
            if terms(of: made) != nil, isLinear(made) {
                dissolved.insert(made)
                all += remainingTerms(of: made)
            } else {
                all.append(term)
            }
        }
        return all
    }

    // MARK: Joining

    private mutating func append(_ nodes: [Int], _ op: NormalizedChains) throws(ShapeError) {
        var joined = op
        joined.convolutions = nodes.flatMap { (graph.nodes[$0].op as? NormalizedChains)?.convolutions ?? [] }
        let made = try g.appendAll(joined, operands(of: nodes, shared: op.sharedOperands), name: name(of: nodes))
        for (old, result) in zip(nodes.flatMap { graph.nodes[$0].results }, made) { new[old.id] = result }
    }

    /// The joined gradient with respect to the image.
    private mutating func appendGradients(_ nodes: [Int]) throws(ShapeError) -> Value? {
        let ops = nodes.compactMap { graph.nodes[$0].op as? NormalizedChainsGradient }
        guard var joined = ops.first else { return nil }
        joined.convolutions = ops.flatMap(\.convolutions)
        let made = try g.appendAll(joined, operands(of: nodes, shared: joined.sharedOperands), name: name(of: nodes))
        let filters = nodes.flatMap { graph.nodes[$0].results.dropFirst() }
        for (old, result) in zip(filters, made.dropFirst()) { new[old.id] = result }
        return made[0]
    }

    private mutating func operands(of nodes: [Int], shared: Int) -> [Value] {
        var found = read(graph.nodes[nodes[0]].operands.prefix(shared))
        for node in nodes { found += read(graph.nodes[node].operands.dropFirst(shared)) }
        return found
    }
    private func name(of nodes: [Int]) -> String? { graph.nodes[nodes[0]].name }
}
