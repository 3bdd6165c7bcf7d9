import IR
import Operators

extension GraphBuilder {
    /// Appends the gradients of a scalar (or of several values, weighted by `seeds`) with respect to other values.
    ///
    /// Reverse mode over the graph built so far. The result is ordinary nodes, so gradients of gradients are exact:
    /// differentiate `dot(gradient, v)` for Hessian-vector and mixed products. An operator without a pullback of its
    /// own is differentiated through its decomposition.
    ///
    /// - Parameters:
    ///   - outputs: the values to differentiate; a single scalar where `seeds` is left out.
    ///   - seeds: gradients with respect to the outputs, of the same types; 1 where left out.
    /// - Returns: one value an entry of `variables`; `nil` where no output depends on it.
    /// - Throws: ``ShapeError`` for an operator on the way that has no gradient.
    public mutating func gradients(
        of outputs: [Value], seeds: [Value]? = nil, wrt variables: [Value]
    ) throws(ShapeError) -> [Value?] {
        var cotangents: [Value: Value] = [:]
        for (index, output) in outputs.enumerated() {
            let seed = seeds?[index] ?? constant(Literal(scalar: 1, type(of: output).element))
            guard type(of: seed) == type(of: output) else {
                throw ShapeError(
                    "the gradient of \(type(of: output)) needs a seed of that type, found \(type(of: seed))")
            }
            try accumulate(seed, into: output, &cotangents)
        }
        try pullBack(graph.nodes, wrt: variables, &cotangents)
        return variables.map { cotangents[$0] }
    }

    /// Walks `nodes` backwards and adds to the cotangents of every value that depends on one of the variables.
    private mutating func pullBack(
        _ nodes: [Node], wrt variables: [Value], _ cotangents: inout [Value: Value]
    ) throws(ShapeError) {
        var depends = Set(variables)
        for node in nodes where node.operands.contains(where: depends.contains) { depends.formUnion(node.results) }
        for node in nodes.reversed() where node.operands.contains(where: depends.contains) {
            let gradients = node.results.map { cotangents[$0] }
            guard gradients.contains(where: { $0 != nil }) else { continue }
            let pullback = Pullback(
                operands: node.operands, results: node.results, gradients: gradients,
                needed: node.operands.map(depends.contains))
            let found = try scoped("grad." + (node.name ?? node.op.mnemonic)) { g throws(ShapeError) in
                if let own = try node.op.pullback(pullback, in: &g) { return own }
                return try g.decomposedPullback(node, pullback)
            }
            for (operand, gradient) in zip(node.operands, found) {
                if let gradient, depends.contains(operand) { try accumulate(gradient, into: operand, &cotangents) }
            }
        }
    }

    private mutating func decomposedPullback(_ node: Node, _ p: Pullback) throws(ShapeError) -> [Value?] {
        guard let meaning = try Interpreter.decomposition(of: node.op, types(of: node.operands)) else {
            throw ShapeError("\(node.op.mnemonic) has no gradient", at: node.name)
        }
        let first = graph.nodes.count
        let results = inline(meaning, inputs: node.operands)
        let inlined = Array(graph.nodes[first...])
        var cotangents: [Value: Value] = [:]
        for (result, gradient) in zip(results, p.gradients) {
            if let gradient { try accumulate(gradient, into: result, &cotangents) }
        }
        let needed = zip(node.operands, p.needed).filter(\.1).map(\.0)
        try pullBack(inlined, wrt: needed, &cotangents)
        // An operand that occurs twice already has the sum of both uses: it is reported once.
        var seen = Set<Value>()
        return node.operands.map { seen.insert($0).inserted ? cotangents[$0] : nil }
    }

    private mutating func accumulate(
        _ gradient: Value, into value: Value, _ cotangents: inout [Value: Value]
    ) throws(ShapeError) {
        guard let known = cotangents[value] else {
            cotangents[value] = gradient
            return
        }
        cotangents[value] = try append(Add(), known, gradient)
    }
}

extension Graph {
    /// The graph with its first output's gradients with respect to parameters behind its outputs, as `grad.NAME`.
    ///
    /// What is computed twice, such as the pools that several edges of a cell take of one image, is merged first: its
    /// gradients then meet before they are pulled back, once. Activations are left with whoever reads them, to be fused there.
    ///
    /// - Parameters:
    ///   - names: the parameters; all of them when left out. One that the output does not depend on gets no gradient, so
    ///     that an optimizer cannot touch it.
    ///   - inputs: inputs whose gradients are given likewise.
    /// - Throws: ``ShapeError`` when the first output is not a scalar, or an operator has no gradient.
    public func withParameterGradients(
        _ names: Set<String>? = nil, inputs wanted: Set<String> = []
    ) throws(ShapeError) -> Graph {
        let merged = mergingDuplicates { !($0 is any ParametricActivation) }
        var g = GraphBuilder(name: name)
        let (results, variables) = try merged.differentiable(in: &g, names, wanted)
        let gradients = try g.gradients(of: [results[0]], wrt: variables.map(\.value))
        let found = zip(variables, gradients).compactMap { variable, gradient in
            gradient.map { (value: $0, name: "grad." + variable.name) }
        }
        return g.finish(outputs: results + found.map(\.value), names: outputNames + found.map(\.name)).pruned()
    }

    /// Products of the first output's second derivatives with a direction in the space of its parameters.
    ///
    /// The direction enters by further inputs `direction.NAME`. Outputs: `product.NAME`, the gradient of
    /// `⟨∇ loss, direction⟩` with respect to the parameters (Hessian products) and to the given inputs (mixed products).
    ///
    /// - Throws: ``ShapeError`` when the first output is not a scalar, or an operator has no second derivative.
    public func secondOrderProducts(inputs wanted: Set<String>) throws(ShapeError) -> Graph {
        var g = GraphBuilder(name: name)
        let (results, variables) = try differentiable(in: &g, nil, wanted)
        let parameters = variables.filter { !wanted.contains($0.name) }
        let gradients = try g.gradients(of: [results[0]], wrt: parameters.map(\.value))
        var product: Value?
        for (parameter, gradient) in zip(parameters, gradients) {
            guard let gradient else { continue }
            let direction = g.input("direction." + parameter.name, g.type(of: parameter.value))
            let term = try g.append(ReduceSum(), g.append(Multiply(), gradient, direction))
            product = try product.map { sum throws(ShapeError) in try g.append(Add(), sum, term) } ?? term
        }
        guard let product else { throw ShapeError("the first output of graph \(name) depends on no parameter") }
        let second = try g.gradients(of: [product], wrt: variables.map(\.value))
        let found = zip(variables, second).compactMap { variable, value in
            value.map { (value: $0, name: "product." + variable.name) }
        }
        return g.finish(outputs: found.map(\.value), names: found.map(\.name)).pruned()
    }

    /// The graph inlined into a builder, with what its first output may be differentiated by.
    private func differentiable(
        in g: inout GraphBuilder, _ names: Set<String>?, _ wanted: Set<String>
    ) throws(ShapeError) -> (results: [Value], variables: [(name: String, value: Value)]) {
        guard let loss = outputs.first, type(of: loss).count == 1, type(of: loss).rank == 0 else {
            throw ShapeError("the gradient of graph \(name) needs a scalar as the first output")
        }
        let inputs = zip(inputs, inputNames).map { g.input($1, type(of: $0)) }
        let results = g.inline(self, inputs: inputs)
        var variables = g.graph.parameters.filter { names?.contains($0.name) ?? true }.map { ($0.name, $0.value) }
        variables += zip(inputNames, inputs).filter { wanted.contains($0.0) }
        return (results, variables)
    }
}
