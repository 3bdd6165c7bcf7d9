import IR
import Operators

extension NormalisationFusion {
    /// Gives the node's results a form or a fused node; false where the node is to be copied as it is.
    mutating func fuse(_ node: Node, _ index: Int) throws(ShapeError) -> Bool {
        guard let first = node.operands.first else { return false }
        switch node.op {
        case let op as Conv2D: return try fuse(op, node)
        case let op as BatchNorm where isImage(first): return try fuse(op, node)
        case let op as any ParametricActivation
        where NormalisedActivation.functions[op.mnemonic] != nil && isImage(first):
            return try fuse(op, node)
        case is Add where node.operands.count == 2 && node.operands.allSatisfy({ isImage($0) }):
            return try fuseSum(node)
        case is WeightedSum where isImage(node.results[0]): return try fuseMixture(node)
        case is WeightedSumDots where isImage(first): return try fuseDots(node)
        case is Multiply where isImage(first) && graph.type(of: node.operands[1]).rank == 0:
            return try fuseProduct(node)
        case let op as BatchNormGradient where isImage(first): return try fuse(op, node)
        case let op as Conv2DInputGradient: return try fuseGradients(op.convolution, node, index)
        case let op as Conv2DFilterGradient: return try fuseGradients(op.convolution, node, index)
        default: return false
        }
    }

    /// What a fused convolution reads for the image `x`.
    private mutating func source(_ term: Term?, _ x: Value) throws(ShapeError) -> Value {
        if let term { return term.value }
        return try value(x)
    }

    // MARK: Forward

    private mutating func fuse(_ op: Conv2D, _ node: Node) throws(ShapeError) -> Bool {
        if startsChain(op, node) {
            chains[node.results[0].id] = node
            return true
        }
        let first = chains[node.operands[0].id] ?? node
        guard let op = first.op as? Conv2D else { return false }
        let (x, w, isChain) = (first.operands[0], first.operands[1], first.results != node.results)
        guard node.operands.count == 2, op.fuses(graph.type(of: x), graph.type(of: w)) else { return false }
        let isNormalised = users[node.results[0].id].contains {
            graph.nodes[$0].op is BatchNorm && graph.nodes[$0].operands[0] == node.results[0]
        }
        let form = forms[x.id], term = form?.single
        guard isNormalised || term != nil || isChain else { return false }
        let normalizes = term?.scale != nil
        let activation = (term == nil ? nil : form?.activation) ?? .init()
        var normal: [Value] = []
        if let scale = term?.scale, let shift = term?.shift { normal = [scale, shift] }
        let image = try source(term, x), filter = try value(w), results: [Value]
        if isChain {
            let fused = NormalizedChains(
                [op], normalizes: normalizes, activation: activation, moments: isNormalised)
            results = try g.appendAll(fused, [image] + normal + [filter, value(node.operands[1])], name: node.name)
        } else {
            let fused = NormalizedConv2D(
                op, normalizes: normalizes, activation: activation, moments: isNormalised)
            results = try g.appendAll(fused, [image, filter] + normal, name: node.name)
        }
        new[node.results[0].id] = results[0]
        if isNormalised { moments[results[0]] = (results[1], results[2]) }
        return true
    }

    private mutating func fuse(_ op: BatchNorm, _ node: Node) throws(ShapeError) -> Bool {
        let t = try value(node.operands[0])
        if moments[t] == nil {
            let made = try g.appendAll(ChannelMoments(), [t], name: node.name)
            moments[t] = (made[0], made[1])
        }
        guard let (mean, variance) = moments[t] else { return false }
        var operands = [mean, variance]
        for operand in node.operands.dropFirst() { operands.append(try value(operand)) }
        let scale = try g.appendAll(BatchNormScale(epsilon: op.epsilon), operands, name: node.name)
        let term = Term(value: t, scale: scale[0], shift: scale[1], mean: mean)
        coefficients[t] = term
        forms[node.results[0].id] = Form(terms: [term])
        new[node.results[1].id] = mean
        new[node.results[2].id] = variance
        return true
    }

    private mutating func fuse(_ op: some ParametricActivation, _ node: Node) throws(ShapeError) -> Bool {
        let x = node.operands[0], activation = NormalisedActivation(of: op)
        if let form = forms[x.id], form.isLinear, let term = form.single, term.scale != nil {
            forms[node.results[0].id] = Form(terms: [term], activation: activation, before: x)
            return true
        }
        let isFiltered = users[node.results[0].id].contains { user in
            guard let op = graph.nodes[user].op as? Conv2D else { return false }
            return op.fuses(graph.type(of: node.results[0]), graph.type(of: graph.nodes[user].operands[1]))
        }
        guard isFiltered else { return false }
        forms[node.results[0].id] = Form(terms: [Term(value: try value(x))], activation: activation, before: x)
        return true
    }

    private mutating func fuseSum(_ node: Node) throws(ShapeError) -> Bool {
        guard graph.type(of: node.operands[0]) == graph.type(of: node.operands[1]) else { return false }
        var parts: [[Term]] = []
        for operand in node.operands { parts.append(try terms(operand, isSummed: true)) }
        for (index, operand) in node.operands.enumerated() where parts[0].count + parts[1].count > Self.mostTerms {
            if parts[index].count > 1 { parts[index] = [Term(value: try value(operand))] }
        }
        forms[node.results[0].id] = Form(terms: parts[0] + parts[1])
        return true
    }

    /// Whether a value of the old graph is all zeros.
    private func isZero(_ value: Value) -> Bool {
        guard let index = producers[value.id] else { return false }
        let node = graph.nodes[index]
        if let constant = node.op as? Constant {
            return constant.literal.count <= 1 && constant.literal.reals.allSatisfy { $0 == 0 }
        }
        return node.op is BroadcastTo && isZero(node.operands[0])
    }

    /// The addends of a mixture with their places among its weights, zeros left out; nothing where all are zeros.
    private mutating func alternatives(_ values: ArraySlice<Value>) throws(ShapeError) -> [(term: Term, index: Int)] {
        var found: [(term: Term, index: Int)] = []
        for (index, old) in values.enumerated() where !isZero(old) {
            var term = try terms(old, isSummed: false)[0]
            if term.weight != nil { term = Term(value: try value(old)) }
            found.append((term, index))
        }
        return found
    }

    private mutating func fuseMixture(_ node: Node) throws(ShapeError) -> Bool {
        let found = try alternatives(node.operands.dropFirst())
        guard !found.isEmpty, found.count <= Self.mostTerms else { return false }
        let weights = try value(node.operands[0])
        forms[node.results[0].id] = Form(
            terms: found.map { part in
                var term = part.term
                term.weight = (weights, part.index)
                return term
            })
        return true
    }

    // MARK: Backward

    private mutating func fuseDots(_ node: Node) throws(ShapeError) -> Bool {
        let found = try alternatives(node.operands.dropFirst())
        guard !found.isEmpty, found.count <= Self.mostTerms else { return false }
        try appendDots(
            value(node.operands[0]), found, weights: node.operands.count - 1, result: node.results[0], node.name)
        return true
    }

    private mutating func appendDots(
        _ gradient: Value, _ found: [(term: Term, index: Int)], weights: Int, result: Value?, _ name: String?
    ) throws(ShapeError) {
        var operands = [gradient]
        for (term, _) in found {
            operands.append(term.value)
            if let mean = term.mean, let scale = term.scale, let shift = term.shift {
                operands += [mean, scale, shift]
            }
        }
        let op = NormalizedDots(
            found.map { NormalizedTerm(normalizes: $0.term.mean != nil, weight: $0.index) }, weights: weights)
        let made = try g.appendAll(op, operands, name: name)
        if let result { new[result.id] = made[0] }
        for (row, part) in found.enumerated() where part.term.mean != nil {
            sums[Pair(a: gradient.id, b: part.term.value.id)] = Sums(values: made[1], row: row + 1)
        }
    }

    /// A gradient times the weight of its mixture.
    private mutating func fuseProduct(_ node: Node) throws(ShapeError) -> Bool {
        let image = try value(node.operands[0])
        let weight = try weight(node.operands[1])
        forms[node.results[0].id] = Form(terms: [Term(value: image, weight: weight)])
        return true
    }

    /// A scalar as an element of the vector it was taken from.
    private mutating func weight(_ scalar: Value) throws(ShapeError) -> (vector: Value, index: Int) {
        if let index = producers[scalar.id], graph.nodes[index].op is Reshape,
            let slice = producers[graph.nodes[index].operands[0].id].map({ graph.nodes[$0] }),
            let op = slice.op as? Slice, op.starts.count == 1, graph.type(of: slice.operands[0]).rank == 1
        {
            return (try value(slice.operands[0]), op.starts[0])
        }
        let vector = try g.append(Reshape([1]), value(scalar))
        return (vector, 0)
    }

    private mutating func fuse(_ op: BatchNormGradient, _ node: Node) throws(ShapeError) -> Bool {
        let t = try value(node.operands[0]), dy = node.operands[1]
        guard let term = coefficients[t], let (mean, variance) = moments[t] else { return false }
        let gradients = try gradients(dy, of: t)
        if gradients.count == 1, sums[Pair(a: gradients[0].value.id, b: t.id)] == nil {
            try appendDots(gradients[0].value, [(term, 0)], weights: 1, result: nil, node.name)
        }
        let found = gradients.compactMap { sums[Pair(a: $0.value.id, b: t.id)] }
        guard found.count == gradients.count else { return false }
        let type = graph.type(of: node.operands[0]), isAffine = node.operands.count == 5
        var operands = found.map(\.values) + [mean, variance]
        if isAffine { operands.append(try value(node.operands[4])) }
        operands += gradients.compactMap { $0.weight?.vector }
        let scale = BatchNormGradientScale(
            epsilon: op.epsilon, count: type.count / type.shape[1],
            parts: zip(found, gradients).map { .init(row: $0.row, weight: $1.weight?.index ?? -1) }, isAffine: isAffine)
        let made = try g.appendAll(scale, operands, name: node.name), count = gradients.count
        let zeros = zeros(type.shape[1])
        if count == 1 {
            denormals[node.results[0].id] = Denormal(g: gradients[0].value, t: t, a: made[0], b: made[1], d: made[2])
        }
        forms[node.results[0].id] = Form(
            terms: zip(gradients, made).map { Term(value: $0.value, scale: $1, shift: zeros) }
                + [Term(value: t, scale: made[count], shift: made[count + 1])])
        for (old, result) in zip(node.results.dropFirst(), made.dropFirst(count + 2)) { new[old.id] = result }
        return true
    }

    /// The weighted gradients that make up the one of a normalised image, when the sums of all of them with it are known;
    /// otherwise the gradient itself, or the only one behind its weight.
    private mutating func gradients(_ dy: Value, of t: Value) throws(ShapeError) -> [Term] {
        guard new[dy.id] == nil, let form = forms[dy.id], form.isLinear, form.terms.allSatisfy({ $0.scale == nil }),
            form.terms.count == 1 || form.terms.allSatisfy({ sums[Pair(a: $0.value.id, b: t.id)] != nil })
        else { return [Term(value: try value(dy))] }
        return form.terms
    }

    /// Both gradients of a convolution at the first of them, and those of the depthwise one in a chain with it.
    private mutating func fuseGradients(_ op: Conv2D, _ node: Node, _ index: Int) throws(ShapeError) -> Bool {
        let dy = node.operands[0]
        guard let pair = gradientPair(op, dy, index), let last = pair.filter else { return false }
        var (op, input, filter, x, w) = (op, pair.input, last, pair.x, pair.w)
        var isChain = false
        if let first = chains[x.id], let inner = input, let own = first.op as? Conv2D,
            let (outer, other) = gradientReaders(graph.nodes[inner].results[0])
        {
            isChain = true
            (op, input, filter, x, w) = (own, outer, other, first.operands[0], first.operands[1])
        }
        guard op.fuses(graph.type(of: x), graph.type(of: w)) else { return false }
        // In a gradient's gradient the other node of the pair may read what comes after this one.
        guard isMade(x), isMade(w), !isChain || isMade(pair.w) else { return false }
        var target = input.map { graph.nodes[$0].results[0] }
        var term: Term?
        var activation = NormalisedActivation()
        var slope: Int?
        if let form = forms[x.id], let single = form.single {
            if form.isLinear || input == nil {
                (term, activation) = (single, form.activation)
            } else if let dz = target, let (user, gradient) = onlyUser(dz), let unary = gradient.op as? UnaryGradient,
                gradient.operands[1] == dz, gradient.operands[0] == form.before,
                unary.function == form.activation.function, unary.attributes == form.activation.attributes
            {
                (term, slope, target) = (single, user, gradient.results[0])
                activation = form.activation
            }
        }
        let denormal = new[dy.id] == nil ? denormals[dy.id] : nil
        let gradient: Value
        if let denormal { gradient = denormal.g } else { gradient = try value(dy) }
        let behind = denormal.map { [$0.t, $0.a, $0.b, $0.d] } ?? []
        let image = try source(term, x), own = try value(w)
        var normal: [Value] = []
        if let scale = term?.scale, let shift = term?.shift { normal = [scale, shift] }
        var centre: [Value] = []
        if let target, let term, let mean = term.mean, let (_, norm) = onlyUser(target), norm.op is BatchNormGradient,
            norm.operands[1] == target, new[norm.operands[0].id] == term.value
        {
            centre = [mean]
        }
        let results: [Value]
        if isChain {
            var fused = NormalizedChainsGradient()
            (fused.convolutions, fused.normalizes, fused.activation) = ([op], !normal.isEmpty, activation)
            (fused.denormalizes, fused.wantsInput, fused.wantsSums) = (denormal != nil, input != nil, !centre.isEmpty)
            let operands = [image] + normal + centre + [gradient, own, try value(pair.w)] + behind
            results = try g.appendAll(fused, operands, name: node.name)
        } else {
            var fused = NormalizedConv2DGradient()
            (fused.convolution, fused.normalizes, fused.activation) = (op, !normal.isEmpty, activation)
            (fused.denormalizes, fused.wantsInput, fused.wantsSums) = (denormal != nil, input != nil, !centre.isEmpty)
            results = try g.appendAll(fused, [gradient, image, own] + behind + normal + centre, name: node.name)
        }
        if let target { new[target.id] = results[0] }
        let at = input == nil ? 0 : 1
        new[graph.nodes[filter].results[0].id] = results[at]
        if isChain { new[graph.nodes[last].results[0].id] = results[at + 1] }
        if !centre.isEmpty, let term, let made = results.last {
            sums[Pair(a: results[0].id, b: term.value.id)] = Sums(values: made, row: 1)
        }
        for other in [input, filter, slope, pair.input, last].compactMap({ $0 }) { isDone[other] = true }
        return true
    }

    /// The nodes that read a depthwise convolution's gradient, when they are its own two gradients and nothing else.
    private func gradientReaders(_ dz: Value) -> (input: Int?, filter: Int)? {
        var (input, filter): (Int?, Int?)
        for user in users[dz.id] {
            switch graph.nodes[user].op {
            case is Conv2DInputGradient where input == nil: input = user
            case is Conv2DFilterGradient where filter == nil && graph.nodes[user].operands[0] == dz: filter = user
            default: return nil
            }
        }
        guard let filter, uses[dz.id] == users[dz.id].count else { return nil }
        return (input, filter)
    }

    /// Whether a depthwise convolution is computed within the pointwise one that alone reads it.
    private func startsChain(_ op: Conv2D, _ node: Node) -> Bool {
        let result = node.results[0]
        guard joinsChains, op.groups > 1, node.operands.count == 2, uses[result.id] == users[result.id].count else {
            return false
        }
        let readers = users[result.id].map { graph.nodes[$0] }
        let (forward, backward) = (readers.filter { $0.op is Conv2D }, readers.filter { $0.op is Conv2DFilterGradient })
        guard forward.count == 1, let next = forward.first, next.op as? Conv2D == Conv2D(), next.operands.count == 2,
            next.operands[0] == result, forward.count + backward.count == readers.count, backward.count <= 1,
            [op].fuseAsChains(
                graph.type(of: node.operands[0]),
                [(graph.type(of: node.operands[1]), graph.type(of: next.operands[1]))])
        else { return false }
        guard let filter = backward.first else { return true }
        guard filter.operands[1] == result else { return false }
        for user in users[filter.operands[0].id] where graph.nodes[user].op is Conv2DInputGradient {
            let input = graph.nodes[user]
            if input.operands == [filter.operands[0], next.operands[1]] {
                return gradientReaders(input.results[0]) != nil
            }
        }
        return false
    }

    /// The nodes of the two gradients of one convolution, with its image and filter.
    private func gradientPair(_ op: Conv2D, _ dy: Value, _ index: Int) -> (
        input: Int?, filter: Int?, x: Value, w: Value
    )? {
        let node = graph.nodes[index]
        if node.op is Conv2DInputGradient {
            let w = node.operands[1]
            for user in users[dy.id] {
                let other = graph.nodes[user]
                guard let filter = other.op as? Conv2DFilterGradient, filter.convolution == op, other.operands[0] == dy,
                    !isDone[user], convolutions[Pair(a: other.operands[1].id, b: w.id)] != nil
                else { continue }
                return (index, user, other.operands[1], w)
            }
            return nil
        }
        let x = node.operands[1]
        for user in users[dy.id] {
            let other = graph.nodes[user]
            guard let input = other.op as? Conv2DInputGradient, input.convolution == op, other.operands[0] == dy,
                !isDone[user], convolutions[Pair(a: x.id, b: other.operands[1].id)] != nil
            else { continue }
            return (user, index, x, other.operands[1])
        }
        // The image needs no gradient: any filter of the convolution's shape will do.
        for user in users[x.id] {
            let other = graph.nodes[user]
            if other.op as? Conv2D == op, other.operands[0] == x,
                graph.type(of: other.operands[1]) == graph.type(of: node.results[0])
            {
                return (nil, index, x, other.operands[1])
            }
        }
        return nil
    }
}
