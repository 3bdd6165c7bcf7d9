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
    /// - Parameter names: the parameters; all of them when left out. One that the output does not depend on gets no
    ///   gradient, so that an optimizer cannot touch it.
    /// - Throws: ``ShapeError`` when the first output is not a scalar, or an operator has no gradient.
    public func withParameterGradients(_ names: Set<String>? = nil) throws(ShapeError) -> Graph {
        guard let loss = outputs.first, type(of: loss).count == 1, type(of: loss).rank == 0 else {
            throw ShapeError("the gradient of graph \(name) needs a scalar as the first output")
        }
        var g = GraphBuilder(name: name)
        let inputs = zip(inputs, inputNames).map { g.input($1, type(of: $0)) }
        let results = g.inline(self, inputs: inputs)
        let parameters = g.graph.parameters.filter { names?.contains($0.name) ?? true }
        let gradients = try g.gradients(of: [results[0]], wrt: parameters.map(\.value))
        let found = zip(parameters, gradients).compactMap { parameter, gradient in
            gradient.map { (value: $0, name: "grad." + parameter.name) }
        }
        return g.finish(outputs: results + found.map(\.value), names: outputNames + found.map(\.name)).pruned()
    }
}
