extension ONNXModel {
    /// This model with every call of a model-local function replaced by the function's nodes.
    ///
    /// Inner values get the names of the call's outputs or a fresh name after the call; attribute references take the
    /// call's value, the default, or disappear.
    ///
    /// - Throws: ``ONNXError`` (`malformed`) for a function that calls itself, an attribute it requires and is not given,
    ///   or a body that reads a name nothing defines; (`unsupported`) when more than 200,000 nodes would result.
    public func inliningFunctions() throws(ONNXError) -> ONNXModel {
        guard !functions.isEmpty else { return self }
        var model = self
        model.functions = []
        do throws(ONNXError) {
            var inliner = try FunctionInliner(self)
            model.graph = try inliner.expand(graph, calling: [])
            try model.graph.order(enclosing: [])
        } catch {
            throw error.naming(file: file)
        }
        return model
    }
}

private struct FunctionInliner {
    private struct Key: Hashable {
        var domain: String
        var name: String
        var overload: String
    }

    private var functions: [Key: ONNXModel.Function] = [:]
    private var taken: Set<String> = []
    private var emitted = 0
    private static let nodeLimit = 200_000

    init(_ model: ONNXModel) throws(ONNXError) {
        for function in model.functions {
            let key = Key(domain: function.domain, name: function.name, overload: function.overload)
            guard functions.updateValue(function, forKey: key) == nil else {
                throw ONNXError(.malformed, "the function '\(function.domain).\(function.name)' is defined twice")
            }
        }
        collectNames(of: model.graph)
    }

    private mutating func collectNames(of graph: ONNXModel.Graph) {
        taken.formUnion(graph.initializers.map(\.name))
        taken.formUnion(graph.inputs.map(\.name))
        for node in graph.nodes {
            taken.formUnion(node.outputs)
            for inner in node.graphs { collectNames(of: inner) }
        }
    }

    private mutating func fresh(_ wish: String) -> String {
        var name = wish
        var number = 2
        while !taken.insert(name).inserted {
            name = "\(wish)_\(number)"
            number += 1
        }
        return name
    }

    mutating func expand(
        _ graph: ONNXModel.Graph, calling stack: [String]
    ) throws(ONNXError) -> ONNXModel.Graph {
        var result = graph
        result.nodes = []
        for node in graph.nodes { try expand(node, calling: stack, into: &result.nodes) }
        return result
    }

    private mutating func expand(
        _ node: ONNXModel.Node, calling stack: [String], into nodes: inout [ONNXModel.Node]
    ) throws(ONNXError) {
        emitted += 1
        guard emitted <= Self.nodeLimit else {
            throw ONNXError(.unsupported, "inlining the model's functions gives more than \(Self.nodeLimit) nodes")
        }
        let key = Key(domain: node.domain, name: node.operation, overload: node.overload)
        guard let function = functions[key] else {
            var node = node
            try node.mapGraphs { (graph) throws(ONNXError) in graph = try expand(graph, calling: stack) }
            nodes.append(node)
            return
        }
        let title = "\(function.domain).\(function.name)"
        guard !stack.contains(title), stack.count < 64 else {
            throw ONNXError(.malformed, subject: node.label, "the function calls itself, or calls are nested 64 deep")
        }
        do throws(ONNXError) {
            for inner in try body(of: function, at: node) { try expand(inner, calling: stack + [title], into: &nodes) }
        } catch {
            throw stack.isEmpty ? error.naming(subject: "in \(node.label)") : error
        }
    }

    /// The function's nodes with the call's names and attributes put in.
    private mutating func body(
        of function: ONNXModel.Function, at call: ONNXModel.Node
    ) throws(ONNXError) -> [ONNXModel.Node] {
        guard call.inputs.count <= function.inputs.count, call.outputs.count <= function.outputs.count else {
            throw ONNXError(
                .malformed,
                "the call has \(call.inputs.count) inputs and \(call.outputs.count) outputs, but the function takes "
                    + "\(function.inputs.count) and gives \(function.outputs.count)")
        }
        let prefix = call.name.isEmpty ? call.outputs.first { !$0.isEmpty } ?? function.name : call.name
        var names: [String: String] = ["": ""]
        for (index, formal) in function.inputs.enumerated() {
            names[formal] = index < call.inputs.count ? call.inputs[index] : ""
        }
        var copies: [ONNXModel.Node] = []
        for (formal, actual) in zip(function.outputs, call.outputs) where !actual.isEmpty {
            if let passed = names[formal] {
                // An input handed through: the output still needs a node of its own.
                let version = function.nodes.first { $0.domain.isEmpty }?.version ?? 17
                copies.append(ONNXModel.Node("Identity", version: version, inputs: [passed], outputs: [actual]))
            } else {
                names[formal] = actual
            }
        }
        var attributes: [String: ONNXModel.AttributeValue] = [:]
        for attribute in function.defaults { attributes[attribute.name] = attribute.value }
        for attribute in call.attributes { attributes[attribute.name] = attribute.value }
        var nodes: [ONNXModel.Node] = []
        for inner in function.nodes {
            nodes.append(try rewrite(inner, prefix: prefix, names: &names, attributes: attributes))
        }
        return nodes + copies
    }

    private mutating func rewrite(
        _ node: ONNXModel.Node, prefix: String, names: inout [String: String],
        attributes: [String: ONNXModel.AttributeValue]
    ) throws(ONNXError) -> ONNXModel.Node {
        var node = node
        if !node.name.isEmpty { node.name = "\(prefix)/\(node.name)" }
        var inputs: [String] = []
        for input in node.inputs { inputs.append(resolve(input, prefix, &names)) }
        node.inputs = inputs
        var outputs: [String] = []
        for output in node.outputs { outputs.append(resolve(output, prefix, &names)) }
        node.outputs = outputs
        node.attributes = node.attributes.compactMap { attribute in
            guard case .reference(let name) = attribute.value else { return attribute }
            return attributes[name].map { ONNXModel.Attribute(attribute.name, $0) }
        }
        var inner = names
        try node.mapGraphs { (graph) throws(ONNXError) in
            graph = try rewrite(graph, prefix: prefix, names: &inner, attributes: attributes)
        }
        return node
    }

    private mutating func rewrite(
        _ graph: ONNXModel.Graph, prefix: String, names: inout [String: String],
        attributes: [String: ONNXModel.AttributeValue]
    ) throws(ONNXError) -> ONNXModel.Graph {
        var names = names
        var result = graph
        // Names defined inside hide those around: they are renamed first.
        let defined = graph.initializers.map(\.name) + graph.inputs.map(\.name) + graph.nodes.flatMap(\.outputs)
        for name in defined where !name.isEmpty { names[name] = nil }
        for index in result.initializers.indices {
            result.initializers[index].name = resolve(graph.initializers[index].name, prefix, &names)
        }
        for index in result.inputs.indices {
            result.inputs[index].name = resolve(graph.inputs[index].name, prefix, &names)
        }
        result.valueInfos = []
        result.nodes = []
        for node in graph.nodes {
            result.nodes.append(try rewrite(node, prefix: prefix, names: &names, attributes: attributes))
        }
        for index in result.outputs.indices {
            result.outputs[index].name = resolve(graph.outputs[index].name, prefix, &names)
        }
        return result
    }

    private mutating func resolve(_ name: String, _ prefix: String, _ names: inout [String: String]) -> String {
        if let known = names[name] { return known }
        let made = fresh("\(prefix)/\(name)")
        names[name] = made
        return made
    }
}
