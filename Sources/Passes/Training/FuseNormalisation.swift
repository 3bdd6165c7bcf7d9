import IR
import Operators

/// Takes batch normalisations, the activations behind them and mixtures of them into the convolutions and sums around.
///
/// Runs on a training step, after the gradient transform and before the layouts are chosen. Optional: without it every
/// normalised image and every gradient of one is written to memory and read back. A normalisation becomes a scale and a
/// shift that whoever reads the image applies on load; its statistics are summed where the image is made; its gradient
/// becomes three coefficients that both gradients of the convolution before it apply on load; sums of normalised images
/// are one pass over their operands.
///
///     %1 = conv2d %x, %w                           %1, %m, %v = normalized_conv2d %x, %w {moments = true}
///     %2, %m, %v = batch_norm %1, %s, %b     →     %2, %3 = batch_norm_scale %m, %v, %s, %b
///     %3 = relu %2                                 %4 = normalized_conv2d %1, %u, %2, %3 {normalizes = true, activation =
///     %4 = conv2d %3, %u                                                                  {function = "relu"}}
public let fuseNormalisation = normalisationFusion(joinsChains: true)

/// The same pass; `joinsChains` says whether a depthwise convolution and the pointwise one behind it become one operator,
/// which keeps what lies between them in the cache.
public func normalisationFusion(joinsChains: Bool) -> Pass {
    Pass("fuse-normalisation") { graph throws(PassError) in
        let isFused = graph.nodes.contains {
            $0.op is NormalizedConv2D || $0.op is NormalizedSum || $0.op is BatchNormScale
        }
        if isFused { return graph }
        var fusion = NormalisationFusion(graph, joinsChains: joinsChains)
        do throws(ShapeError) { return try fusion.run() } catch { throw PassError(error) }
    }
}

/// One pass over the nodes. A value of the old graph is a value of the new one, or a form that its readers apply.
struct NormalisationFusion {
    /// An addend of a form, in values of the new graph.
    struct Term {
        var value: Value
        var scale: Value?
        var shift: Value?
        /// The mean that the normalisation takes away.
        var mean: Value?
        var weight: (vector: Value, index: Int)?
    }
    /// `f(Σ w · (scale · x + shift))`, not computed yet.
    struct Form {
        var terms: [Term]
        var activation = NormalisedActivation()
        /// What stands before the activation, of the old graph.
        var before: Value?

        /// The only term, when it is not weighted: what fused convolutions read.
        var single: Term? { terms.count == 1 && terms[0].weight == nil ? terms[0] : nil }
        var isLinear: Bool { activation.function.isEmpty }
    }
    /// A gradient `a · g + b · t + d` by channel, not computed yet.
    struct Denormal { var g, t, a, b, d: Value }
    /// Sums of a gradient, and the row of its products with a normalised tensor.
    struct Sums { var values: Value; var row: Int }
    struct Pair: Hashable { var a, b: Int }

    /// Addends of one sum; each keeps its memory until the sum is taken.
    static let mostTerms = 12
    /// Addends that one kernel takes.
    static let mostOperands = 48

    let graph: Graph
    let joinsChains: Bool
    let uses: [Int]
    let users: [[Int]]
    let producers: [Int?]
    /// Forward convolutions by image and filter.
    let convolutions: [Pair: Int]
    var g: GraphBuilder
    var new: [Value?]
    var forms: [Form?]
    var denormals: [Int: Denormal] = [:]
    var moments: [Value: (mean: Value, variance: Value)] = [:]
    var coefficients: [Value: Term] = [:]
    var sums: [Pair: Sums] = [:]
    var isDone: [Bool]
    /// Depthwise convolutions that are computed within the pointwise one behind them, by their result.
    var chains: [Int: Node] = [:]
    private var zeros: [Int: Value] = [:]

    init(_ graph: Graph, joinsChains: Bool) {
        (self.graph, self.joinsChains) = (graph, joinsChains)
        uses = graph.useCounts()
        var users = [[Int]](repeating: [], count: graph.valueCount)
        var convolutions: [Pair: Int] = [:]
        for (index, node) in graph.nodes.enumerated() {
            for operand in node.operands where users[operand.id].last != index { users[operand.id].append(index) }
            if node.op is Conv2D { convolutions[Pair(a: node.operands[0].id, b: node.operands[1].id)] = index }
        }
        (self.users, self.convolutions) = (users, convolutions)
        producers = graph.producers()
        g = GraphBuilder(name: graph.name)
        new = Array(repeating: nil, count: graph.valueCount)
        forms = Array(repeating: nil, count: graph.valueCount)
        isDone = Array(repeating: false, count: graph.nodes.count)
    }

    mutating func run() throws(ShapeError) -> Graph {
        for (input, name) in zip(graph.inputs, graph.inputNames) {
            new[input.id] = g.input(name, graph.type(of: input))
        }
        for (index, node) in graph.nodes.enumerated() where !isDone[index] {
            if try fuse(node, index) { continue }
            var operands: [Value] = []
            for operand in node.operands { operands.append(try value(operand)) }
            let results = g.copy(node, operands: operands, types: graph.types(of: node.results))
            for (old, result) in zip(node.results, results) { new[old.id] = result }
        }
        var outputs: [Value] = []
        for output in graph.outputs { outputs.append(try value(output)) }
        return g.finish(outputs: outputs, names: graph.outputNames).pruned()
    }

    // MARK: Values and forms

    /// The value itself, computed from its form when it has none yet.
    mutating func value(_ old: Value) throws(ShapeError) -> Value {
        if let known = new[old.id] { return known }
        guard let form = forms[old.id] else { preconditionFailure("%\(old.id) is read before it is made") }
        let made = try compute(form, name: producers[old.id].flatMap { graph.nodes[$0].name })
        new[old.id] = made
        return made
    }

    /// Whether the value, or the form its readers apply, is there at this point of the new graph.
    func isMade(_ old: Value) -> Bool { new[old.id] != nil || forms[old.id] != nil }

    private mutating func compute(_ form: Form, name: String?) throws(ShapeError) -> Value {
        try g.sum(of: form.terms, form.activation, name: name)
    }

    /// The form of a value as addends of a sum.
    mutating func terms(_ old: Value, isSummed: Bool) throws(ShapeError) -> [Term] {
        if new[old.id] == nil, let form = forms[old.id], form.isLinear,
            form.terms.count == 1 || (isSummed && uses[old.id] == 1)
        {
            return form.terms
        }
        return [Term(value: try value(old))]
    }

    func isImage(_ value: Value) -> Bool { graph.type(of: value).hasFusedChannels }

    /// A vector of zeros.
    mutating func zeros(_ channels: Int) -> Value {
        if let known = zeros[channels] { return known }
        let made = g.constant(Literal(.f32, [channels], reals: [Double](repeating: 0, count: channels)))
        zeros[channels] = made
        return made
    }

    /// The only node that reads a value, which is no output.
    func onlyUser(_ value: Value) -> (index: Int, node: Node)? {
        guard uses[value.id] == 1, let index = users[value.id].first else { return nil }
        return (index, graph.nodes[index])
    }
}

extension GraphBuilder {
    /// The sum of some terms behind an activation, by the plainest operator there is for it.
    mutating func sum(
        of terms: [NormalisationFusion.Term], _ activation: NormalisedActivation, name: String?
    ) throws(ShapeError) -> Value {
        var terms = terms
        while terms.count > NormalisationFusion.mostOperands {
            let part = try sum(
                of: Array(terms.prefix(NormalisationFusion.mostOperands)), NormalisedActivation(), name: name)
            terms = [.init(value: part)] + terms.dropFirst(NormalisationFusion.mostOperands)
        }
        if terms.allSatisfy({ $0.scale == nil && $0.weight == nil }) {
            if terms.count == 1 {
                guard let op = try activation.makeOperator() else { return terms[0].value }
                return try appendAll(op, [terms[0].value], name: name)[0]
            }
            if terms.count == 2, activation.function.isEmpty {
                return try append(Add(), terms[0].value, terms[1].value, name: name)
            }
        }
        var operands: [Value] = []
        for term in terms {
            operands.append(term.value)
            if let scale = term.scale, let shift = term.shift { operands += [scale, shift] }
            if let weight = term.weight { operands.append(weight.vector) }
        }
        let list = terms.map { NormalizedTerm(normalizes: $0.scale != nil, weight: $0.weight?.index ?? -1) }
        return try appendAll(NormalizedSum(list, activation: activation), operands, name: name)[0]
    }
}
