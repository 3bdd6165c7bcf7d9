/// A value of a graph: an input, or a result of a node. Meaningful together with its graph alone.
public struct Value: Hashable, Sendable, Comparable {
    public let id: Int

    public init(id: Int) { self.id = id }

    public static func < (a: Value, b: Value) -> Bool { a.id < b.id }
}

/// One operation of a graph.
public struct Node: Sendable {
    public var op: any Operator
    public var operands: [Value]
    public var results: [Value]
    /// Where the node comes from: a parameter's name, a layer's path, an ONNX node's name.
    public var name: String?
    /// How the node is to be executed, chosen by a pass. Empty where the default will do.
    public var schedule: Schedule

    public init(
        _ op: any Operator, _ operands: [Value], _ results: [Value], name: String? = nil,
        schedule: Schedule = Schedule()
    ) {
        self.op = op
        self.operands = operands
        self.results = results
        self.name = name
        self.schedule = schedule
    }
}

/// Decisions about the execution of a node: tile sizes, packing, fusion, split over threads. Never its meaning.
public struct Schedule: Hashable, Sendable {
    public var decisions: [Attribute]

    public init(_ decisions: [Attribute] = []) { self.decisions = decisions }

    public var isEmpty: Bool { decisions.isEmpty }

    public subscript(name: String) -> AttributeValue? {
        get { decisions.first { $0.name == name }?.value }
        set {
            decisions.removeAll { $0.name == name }
            if let newValue { decisions.append(Attribute(name, newValue)) }
        }
    }
}

/// A program over tensors in static single assignment. The order of nodes is the order of execution.
///
/// A plain value: no back pointers, no state. Running statistics and the like enter as inputs or parameters and leave
/// as outputs.
public struct Graph: Sendable {
    public var name: String
    public private(set) var inputs: [Value] = []
    public private(set) var inputNames: [String] = []
    public private(set) var nodes: [Node] = []
    public private(set) var outputs: [Value] = []
    public private(set) var outputNames: [String] = []
    private var types: [TensorType] = []

    public init(name: String) { self.name = name }

    /// The number of values; identities are `0 ..< valueCount`.
    public var valueCount: Int { types.count }

    public func type(of value: Value) -> TensorType { types[value.id] }
    public func types(of values: [Value]) -> [TensorType] { values.map { types[$0.id] } }

    /// The node that makes each value, by identity; `nil` for inputs.
    public func producers() -> [Int?] {
        var producers = [Int?](repeating: nil, count: types.count)
        for (index, node) in nodes.enumerated() { for result in node.results { producers[result.id] = index } }
        return producers
    }

    /// How many operands and outputs read each value, by identity.
    public func useCounts() -> [Int] {
        var counts = [Int](repeating: 0, count: types.count)
        for node in nodes { for operand in node.operands { counts[operand.id] += 1 } }
        for output in outputs { counts[output.id] += 1 }
        return counts
    }

    public mutating func setType(of value: Value, to type: TensorType) { types[value.id] = type }
    public mutating func setSchedule(_ schedule: Schedule, ofNode index: Int) { nodes[index].schedule = schedule }
    public mutating func setName(_ name: String?, ofNode index: Int) { nodes[index].name = name }

    mutating func newValue(_ type: TensorType) -> Value {
        types.append(type)
        return Value(id: types.count - 1)
    }
    mutating func addInput(_ name: String, _ type: TensorType) -> Value {
        let value = newValue(type)
        inputs.append(value)
        inputNames.append(name)
        return value
    }
    mutating func add(_ node: Node) { nodes.append(node) }

    public mutating func setOutputs(_ values: [Value], names: [String]) {
        precondition(values.count == names.count, "each output needs a name")
        outputs = values
        outputNames = names
    }
}

extension Graph: Hashable {
    /// Graphs are equal when they are the same program: identities of values may differ.
    public static func == (a: Graph, b: Graph) -> Bool {
        guard a.name == b.name, a.inputNames == b.inputNames, a.outputNames == b.outputNames,
            a.nodes.count == b.nodes.count,
            a.types(of: a.inputs) == b.types(of: b.inputs)
        else { return false }
        var renamed = [Value?](repeating: nil, count: a.valueCount)
        for (m, n) in zip(a.inputs, b.inputs) { renamed[m.id] = n }
        for (m, n) in zip(a.nodes, b.nodes) {
            guard m.op.isEqual(to: n.op), m.name == n.name, m.schedule == n.schedule,
                m.results.count == n.results.count,
                m.operands.map({ renamed[$0.id] }) == n.operands, a.types(of: m.results) == b.types(of: n.results)
            else { return false }
            for (p, q) in zip(m.results, n.results) { renamed[p.id] = q }
        }
        return a.outputs.map { renamed[$0.id] } == b.outputs
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(nodes.count)
        for node in nodes { hasher.combine(node.op.mnemonic) }
    }
}

extension Graph {
    /// The parameters by name, in order of appearance.
    public var parameters: [(name: String, value: Value)] {
        nodes.compactMap { node in node.op is Parameter ? (node.name ?? "", node.results[0]) : nil }
    }

    /// The literal of every value that a constant makes.
    public var constants: [Value: Literal] {
        var constants: [Value: Literal] = [:]
        for node in nodes { if let constant = node.op as? Constant { constants[node.results[0]] = constant.literal } }
        return constants
    }

    /// The graph made anew, node by node. `replace` gets each node with its operands in the new graph, and either
    /// appends what stands for it and returns the new results, or returns `nil` to keep the node.
    public func rewritten<E: Error>(
        _ replace: (Node, [Value], inout GraphBuilder) throws(E) -> [Value]?
    ) throws(E) -> Graph {
        var g = GraphBuilder(name: name)
        var new = [Value?](repeating: nil, count: valueCount)
        for (input, name) in zip(inputs, inputNames) { new[input.id] = g.input(name, type(of: input)) }
        for node in nodes {
            let operands = node.operands.map { new[$0.id]! }
            let results =
                try replace(node, operands, &g) ?? g.copy(node, operands: operands, types: types(of: node.results))
            for (old, result) in zip(node.results, results) { new[old.id] = result }
        }
        return g.finish(outputs: outputs.map { new[$0.id]! }, names: outputNames)
    }
}
