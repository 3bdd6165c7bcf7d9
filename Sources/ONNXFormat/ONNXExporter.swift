import IR

/// Writes a deployable graph as an ONNX model, through the operators' own export facets.
public enum ONNXExporter {
    /// The operator set that is written.
    public static let opset = 17

    /// The graph as a model of opset 17 with static shapes. Constants become initialisers; an operator without an ONNX
    /// form is written as its decomposition. Names come from the graph's nodes and are the same at every export.
    ///
    /// - Throws: ``ONNXError`` (`invalidExport`) naming the node that has no ONNX form, or a graph that is not deployable.
    public static func model(
        of graph: Graph, metadata: [ONNXModel.Entry] = [], documentation: String = ""
    ) throws(ONNXError) -> ONNXModel {
        do throws(VerificationError) { try graph.verify(.deployable) } catch {
            throw ONNXError(.invalidExport, subject: "graph '\(graph.name)'", error.description)
        }
        var writing = GraphExport(graph)
        var model = ONNXModel(graph: try writing.run(), opsets: [.init(domain: "", version: opset)])
        model.producerName = "martlet"
        model.metadata = metadata
        model.documentation = documentation
        return model
    }

    /// Writes the graph to a file that libonnx's checker has accepted. The file appears whole or not at all.
    ///
    /// - Throws: ``ONNXError`` (`invalidExport`) when the checker refuses the model, (`unreadable`) when it cannot be written.
    public static func write(
        _ graph: Graph, to path: String, metadata: [ONNXModel.Entry] = [], documentation: String = ""
    ) throws(ONNXError) {
        do throws(ONNXError) {
            let bytes = try model(of: graph, metadata: metadata, documentation: documentation).serialized()
            try ModelChecker.check(bytes, name: path)
            try FileBytes.write(bytes, to: path)
        } catch {
            throw error.naming(file: path)
        }
    }
}

/// One export under way.
private struct GraphExport {
    private let graph: Graph
    private var result: ONNXModel.Graph
    private var taken: Set<String> = []
    private var counters: [String: Int] = [:]
    /// Equal constants are stored once.
    private var stored: [Literal: String] = [:]

    init(_ graph: Graph) {
        self.graph = graph
        result = ONNXModel.Graph(name: graph.name)
    }

    mutating func run() throws(ONNXError) -> ONNXModel.Graph {
        var names: [Value: String] = [:]
        for (input, name) in zip(graph.inputs, graph.inputNames) {
            try claim(name, "input")
            names[input] = name
            result.inputs.append(info(name, graph.type(of: input)))
        }
        // A value made by a node carries its output's name; a further output of the same value is a copy of it.
        let fixed = Set(graph.inputs).union(graph.nodes.filter { $0.op is Constant }.flatMap(\.results))
        var wanted: [Value: String] = [:]
        var copies: [(value: Value, name: String)] = []
        for (output, name) in zip(graph.outputs, graph.outputNames) {
            try claim(name, "output")
            result.outputs.append(info(name, graph.type(of: output)))
            if fixed.contains(output) || wanted[output] != nil {
                copies.append((output, name))
            } else {
                wanted[output] = name
            }
        }
        try emit(graph, prefix: nil, names: &names, wanted: wanted)
        for copy in copies {
            let node = ONNXModel.Node(
                "Identity", name: unique(copy.name + "/copy"), version: ONNXExporter.opset,
                inputs: [names[copy.value] ?? ""],
                outputs: [copy.name])
            result.nodes.append(node)
        }
        return result
    }

    /// Writes the nodes of the graph, or of an operator's decomposition.
    private mutating func emit(
        _ graph: Graph, prefix: String?, names: inout [Value: String], wanted: [Value: String]
    ) throws(ONNXError) {
        for node in graph.nodes {
            if let constant = node.op as? Constant {
                names[node.results[0]] = store(
                    constant.literal, wish: node.name.map { join(prefix, $0) } ?? join(prefix, "constant"))
                continue
            }
            let title = unique(join(prefix, node.name ?? numbered(node.op.mnemonic, prefix)))
            try emit(node, in: graph, title: title, names: &names, wanted: wanted)
        }
    }

    private mutating func emit(
        _ node: Node, in graph: Graph, title: String, names: inout [Value: String], wanted: [Value: String]
    ) throws(ONNXError) {
        let operands = graph.types(of: node.operands)
        let results = graph.types(of: node.results)
        guard let odd = (operands + results).first(where: { $0.layout != .plain }) else {
            if let form = node.op.onnx(operands, results), form.since <= ONNXExporter.opset {
                for (index, value) in node.results.enumerated() {
                    let name = wanted[value] ?? unique(index == 0 ? "\(title).out" : "\(title).out\(index)")
                    names[value] = name
                    if wanted[value] == nil { result.valueInfos.append(info(name, graph.type(of: value))) }
                }
                write(form, node, title, names)
                return
            }
            try decompose(node, operands, title: title, names: &names, wanted: wanted)
            return
        }
        throw ONNXError(
            .invalidExport, subject: "\(node.op.mnemonic) '\(title)'",
            "ONNX has no layouts, but the node works on \(odd)")
    }

    private mutating func decompose(
        _ node: Node, _ operands: [TensorType], title: String, names: inout [Value: String], wanted: [Value: String]
    ) throws(ONNXError) {
        let inner: Graph?
        do throws(ShapeError) { inner = try Interpreter.decomposition(of: node.op, operands) } catch {
            throw ONNXError(.invalidExport, subject: "\(node.op.mnemonic) '\(title)'", error.description)
        }
        guard let inner else {
            throw ONNXError(
                .invalidExport, subject: "\(node.op.mnemonic) '\(title)'",
                "it has no form in ONNX opset \(ONNXExporter.opset) and no decomposition")
        }
        var innerNames: [Value: String] = [:]
        for (input, operand) in zip(inner.inputs, node.operands) { innerNames[input] = names[operand] }
        var innerWanted: [Value: String] = [:]
        var copies: [(from: Value, to: Value)] = []
        let made = Set(inner.nodes.filter { !($0.op is Constant) }.flatMap(\.results))
        for (value, output) in zip(node.results, inner.outputs) {
            guard let name = wanted[value] else { continue }
            if made.contains(output) && innerWanted[output] == nil {
                innerWanted[output] = name
            } else {
                copies.append((output, value))
            }
        }
        try emit(inner, prefix: title, names: &innerNames, wanted: innerWanted)
        for (value, output) in zip(node.results, inner.outputs) { names[value] = innerNames[output] }
        for copy in copies {
            guard let name = wanted[copy.to] else { continue }
            let identity = ONNXModel.Node(
                "Identity", name: unique("\(title)/copy"), version: ONNXExporter.opset,
                inputs: [innerNames[copy.from] ?? ""],
                outputs: [name])
            result.nodes.append(identity)
            names[copy.to] = name
        }
    }

    private mutating func write(_ form: ONNXForm, _ node: Node, _ title: String, _ names: [Value: String]) {
        var inputs: [String] = []
        if let described = form.inputs {
            for (index, input) in described.enumerated() {
                switch input {
                case .operand(let position): inputs.append(names[node.operands[position]] ?? "")
                case .constant(let literal): inputs.append(store(literal, wish: "\(title).input\(index)"))
                case .omitted: inputs.append("")
                }
            }
        } else {
            inputs = node.operands.map { names[$0] ?? "" }
        }
        while inputs.last?.isEmpty == true { inputs.removeLast() }
        let attributes = form.attributes.compactMap { name, value in
            ONNXModel.AttributeValue(value).map { ONNXModel.Attribute(name, $0) }
        }
        result.nodes.append(
            ONNXModel.Node(
                form.opType, name: title, version: ONNXExporter.opset, inputs: inputs,
                outputs: node.results.map { names[$0] ?? "" }, attributes: attributes))
    }

    private mutating func store(_ literal: Literal, wish: String) -> String {
        if let known = stored[literal] { return known }
        let name = unique(wish)
        stored[literal] = name
        result.initializers.append(.init(name: name, value: ONNXTensorValue(literal)))
        return name
    }

    // MARK: Names

    private func info(_ name: String, _ type: TensorType) -> ONNXModel.ValueInfo {
        ONNXModel.ValueInfo(name: name, type: .tensor(ONNXElementType(type.element), type.shape.map { .known($0) }))
    }

    private func join(_ prefix: String?, _ name: String) -> String { prefix.map { "\($0)/\(name)" } ?? name }

    private mutating func numbered(_ mnemonic: String, _ prefix: String?) -> String {
        let key = join(prefix, mnemonic)
        counters[key, default: 0] += 1
        return "\(mnemonic)_\(counters[key] ?? 0)"
    }

    private mutating func claim(_ name: String, _ what: String) throws(ONNXError) {
        guard !name.isEmpty, taken.insert(name).inserted else {
            throw ONNXError(
                .invalidExport, subject: "graph '\(graph.name)'", "its \(what) '\(name)' needs a name of its own")
        }
    }

    private mutating func unique(_ wish: String) -> String {
        var name = wish
        var number = 2
        while !taken.insert(name).inserted {
            name = "\(wish)_\(number)"
            number += 1
        }
        return name
    }
}

extension ONNXModel.AttributeValue {
    init?(_ attribute: ONNXAttribute) {
        switch attribute {
        case .int(let value): self = .integer(value)
        case .float(let value): self = .float(value)
        case .string(let value): self = .string(value)
        case .ints(let values): self = .integers(values)
        case .floats(let values): self = .floats(values)
        case .strings(let values): self = .strings(values)
        case .tensor(let value): self = .tensor(ONNXTensorValue(value))
        case .unsupported: return nil
        }
    }
}
