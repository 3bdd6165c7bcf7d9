/// Builds a graph node by node; every node is type-checked when it is appended.
public struct GraphBuilder: Sendable {
    public private(set) var graph: Graph
    /// Prefix of the names of nodes and parameters, joined by dots.
    public private(set) var scope: [String] = []
    /// Whether an operator whose operands are all constants is evaluated at once. Used where shapes are computed by
    /// the graph itself; limited to results of `foldingLimit` elements.
    public var foldsConstants = false
    public var foldingLimit = 1 << 16

    private var parameters: [String: Value] = [:]
    private var constants: [Int: Literal] = [:]

    public init(name: String = "main") { graph = Graph(name: name) }

    public func type(of value: Value) -> TensorType { graph.type(of: value) }
    public func types(of values: [Value]) -> [TensorType] { graph.types(of: values) }

    /// The literal of a value that is a constant.
    public func constant(of value: Value) -> Literal? { constants[value.id] }

    public mutating func input(_ name: String, _ type: TensorType) -> Value { graph.addInput(name, type) }

    /// The parameter of the given name within the current scope, made at the first use.
    ///
    /// - Precondition: uses of one name agree on the type.
    public mutating func parameter(_ name: String, _ type: TensorType) -> Value {
        let path = scoped(name)
        if let known = parameters[path] {
            precondition(
                graph.type(of: known) == type, "parameter \(path) is used as \(graph.type(of: known)) and \(type)")
            return known
        }
        let value = graph.newValue(type)
        graph.add(Node(Parameter(type), [], [value], name: path))
        parameters[path] = value
        return value
    }

    public mutating func constant(_ literal: Literal, name: String? = nil) -> Value {
        let value = graph.newValue(literal.type)
        graph.add(Node(Constant(literal), [], [value], name: name.map(scoped)))
        constants[value.id] = literal
        return value
    }

    public mutating func constant(_ scalar: Double, _ element: ElementType = .f32) -> Value {
        constant(Literal(scalar: scalar, element))
    }

    /// Appends an operator with one result.
    public mutating func append(_ op: some Operator, _ operands: Value..., name: String? = nil) throws(ShapeError)
        -> Value
    {
        try appendAll(op, operands, name: name)[0]
    }

    /// Appends an operator and returns all of its results.
    public mutating func appendAll(_ op: any Operator, _ operands: [Value], name: String? = nil) throws(ShapeError)
        -> [Value]
    {
        let path = name.map(scoped) ?? (scope.isEmpty ? nil : scope.joined(separator: "."))
        let types = try op.inferPlain(graph.types(of: operands), at: path)
        if let folded = fold(op, operands, types) { return folded }
        let results = types.map { graph.newValue($0) }
        graph.add(Node(op, operands, results, name: path))
        return results
    }

    /// Appends a node of another graph with its name, schedule and result types; nothing is inferred.
    public mutating func copy(_ node: Node, operands: [Value], types: [TensorType]) -> [Value] {
        let results = types.map { graph.newValue($0) }
        graph.add(Node(node.op, operands, results, name: node.name, schedule: node.schedule))
        if node.op is Parameter, let name = node.name { parameters[name] = results[0] }
        if let constant = node.op as? Constant { constants[results[0].id] = constant.literal }
        return results
    }

    /// Appends the nodes of `other`, its inputs standing for `inputs`. Parameters of the same name are shared.
    public mutating func inline(_ other: Graph, inputs: [Value]) -> [Value] {
        precondition(inputs.count == other.inputs.count, "one value is needed for each input")
        var new = [Value?](repeating: nil, count: other.valueCount)
        for (old, value) in zip(other.inputs, inputs) { new[old.id] = value }
        for node in other.nodes {
            if node.op is Parameter, let name = node.name, let known = parameters[name] {
                new[node.results[0].id] = known
                continue
            }
            let results = copy(node, operands: node.operands.map { new[$0.id]! }, types: other.types(of: node.results))
            for (old, result) in zip(node.results, results) { new[old.id] = result }
        }
        return other.outputs.map { new[$0.id]! }
    }

    /// Runs `body` with `name` added to the scope.
    public mutating func scoped<T, E: Error>(_ name: String, _ body: (inout GraphBuilder) throws(E) -> T) throws(E) -> T
    {
        scope.append(name)
        defer { scope.removeLast() }
        return try body(&self)
    }

    public mutating func setType(of value: Value, to type: TensorType) { graph.setType(of: value, to: type) }

    /// Names the latest node, where a scope's name is not enough.
    public mutating func setSchedule(_ schedule: Schedule) {
        graph.setSchedule(schedule, ofNode: graph.nodes.count - 1)
    }

    public func finish(outputs: [Value], names: [String]? = nil) -> Graph {
        var graph = graph
        let names = names ?? (outputs.count == 1 ? ["output"] : outputs.indices.map { "output\($0)" })
        graph.setOutputs(outputs, names: names)
        return graph
    }

    private func scoped(_ name: String) -> String { (scope + [name]).joined(separator: ".") }

    private mutating func fold(_ op: any Operator, _ operands: [Value], _ types: [TensorType]) -> [Value]? {
        guard foldsConstants, !operands.isEmpty, types.allSatisfy({ $0.count <= foldingLimit }) else { return nil }
        var literals: [Literal] = []
        for operand in operands {
            guard let literal = constants[operand.id], literal.count <= foldingLimit else { return nil }
            literals.append(literal)
        }
        guard let results = Interpreter.evaluate(op, literals) else { return nil }
        return results.map { constant($0) }
    }
}
