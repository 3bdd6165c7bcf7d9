/// Runs graphs by the definitions of their operators: slow, and the measure of everything fast.
public enum Interpreter {
    /// The outputs of `graph` for the given inputs and parameters.
    ///
    /// - Throws: ``ShapeError`` for a missing parameter, an input of another type, or an operator with no definition.
    public static func run<R: Scalar>(
        _ graph: Graph, inputs: [ReferenceTensor<R>], parameters: [String: ReferenceTensor<R>] = [:]
    ) throws(ShapeError) -> [ReferenceTensor<R>] {
        var values = [ReferenceTensor<R>?](repeating: nil, count: graph.valueCount)
        guard inputs.count == graph.inputs.count else {
            throw ShapeError("graph \(graph.name) has \(graph.inputs.count) inputs, found \(inputs.count)")
        }
        for (value, input) in zip(graph.inputs, inputs) {
            guard graph.type(of: value).plain == input.type else {
                throw ShapeError("graph \(graph.name) expects an input \(graph.type(of: value)), found \(input.type)")
            }
            values[value.id] = input
        }
        for node in graph.nodes {
            let results: [ReferenceTensor<R>]
            if node.op is Parameter {
                guard let parameter = parameters[node.name ?? ""] else {
                    throw ShapeError("no value was given for parameter \(AttributeValue.quote(node.name ?? ""))")
                }
                results = [parameter]
            } else {
                results = try evaluate(node.op, node.operands.map { values[$0.id]! }, at: node.name)
            }
            for (value, result) in zip(node.results, results) { values[value.id] = result }
        }
        return graph.outputs.map { values[$0.id]! }
    }

    /// The results of one operator, through its definition or its decomposition.
    public static func evaluate<R: Scalar>(
        _ op: any Operator, _ x: [ReferenceTensor<R>], at name: String? = nil
    ) throws(ShapeError) -> [ReferenceTensor<R>] {
        let types = try op.inferPlain(x.map(\.type), at: name)
        if let results = op.evaluate(x, types) { return results.map(rounded) }
        guard let graph = try decomposition(of: op, x.map(\.type)) else {
            throw ShapeError("\(op.mnemonic) has neither a definition nor a decomposition", at: name)
        }
        return try run(graph, inputs: x)
    }

    /// The results of one operator on literals: in `Double` when one of them is `f64`, else in `Float`.
    public static func evaluate(_ op: any Operator, _ x: [Literal]) -> [Literal]? {
        if x.contains(where: { $0.element == .f64 }) {
            return (try? evaluate(op, x.map { ReferenceTensor<Double>($0) }))?.map(\.literal)
        }
        return (try? evaluate(op, x.map { ReferenceTensor<Float>($0) }))?.map(\.literal)
    }

    /// The decomposition of an operator as a graph of its own; `nil` for a primitive.
    public static func decomposition(of op: any Operator, _ x: [TensorType]) throws(ShapeError) -> Graph? {
        var g = GraphBuilder(name: op.mnemonic)
        let inputs = x.enumerated().map { g.input("x\($0)", $1.plain) }
        guard let results = try op.decompose(inputs, in: &g) else { return nil }
        return g.finish(outputs: results)
    }

    /// 16-bit reals keep their precision after every operator, as they do in memory.
    private static func rounded<R: Scalar>(_ tensor: ReferenceTensor<R>) -> ReferenceTensor<R> {
        guard case .real(let values) = tensor.storage else { return tensor }
        switch tensor.element {
        case .f16: return ReferenceTensor(.f16, tensor.shape, values.map { R(Float(halfBits: Float($0).halfBits)) })
        case .bf16:
            return ReferenceTensor(.bf16, tensor.shape, values.map { R(Float(bfloatBits: Float($0).bfloatBits)) })
        default: return tensor
        }
    }
}
