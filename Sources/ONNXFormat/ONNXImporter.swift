import IR
import Operators

/// Reads a graph of the IR from an ONNX model, through the operators' own import facets.
public enum ONNXImporter {
    /// What is decided before shapes are inferred.
    public struct Options: Sendable {
        /// Sizes of symbolic dimensions.
        public var dimensions: [String: Int] = [:]
        /// Whole shapes of inputs, by name, as when they are read off data.
        public var inputShapes: [String: [Int]] = [:]
        /// Inputs that become constants, as shapes and axes must.
        public var bindings: [String: ONNXTensorValue] = [:]

        public init() {}
    }

    /// The model as a graph: functions inlined, shapes static, constants folded as they are met, dead nodes dropped.
    ///
    /// Inputs and outputs keep their names and order; an input that has an initialiser is a constant.
    ///
    /// - Throws: ``ONNXError`` naming file, node and cause: `unsupported` for what is not served, `malformed` for what
    ///   contradicts ONNX, `openDimension` for a size that is not given.
    public static func graph(of model: ONNXModel, options: Options = Options()) throws(ONNXError) -> Graph {
        do throws(ONNXError) {
            let prepared = try model.inliningFunctions().binding(options.bindings).fixing(
                inputShapes: options.inputShapes
            )
            .fixing(dimensions: options.dimensions)
            var run = GraphImport(name: prepared.graph.name)
            do throws(ONNXError) { return try run.graph(prepared) } catch {
                throw run.refused.map { prepared.graph.suggestingBindings(for: $0, error) } ?? error
            }
        } catch {
            throw error.naming(file: model.file)
        }
    }

    /// The model as a graph for which values of all inputs are at hand.
    ///
    /// Inputs take the values' shapes. An integer input that decides shapes becomes a constant of its value, and the result no
    /// longer has it: where a node is refused for want of a constant, the inputs that its secondary operands come from
    /// are bound and reading starts anew.
    ///
    /// - Throws: ``ONNXError`` as ``graph(of:options:)`` does.
    public static func graph(
        of model: ONNXModel, options: Options = Options(), offering values: [String: ONNXTensorValue]
    ) throws(ONNXError) -> Graph {
        do throws(ONNXError) {
            let inlined = try model.inliningFunctions()
            var options = options
            for (name, value) in values { options.inputShapes[name] = value.dimensions }
            while true {
                // Sizes come first, so that a shape which contradicts one is what is reported.
                let prepared = try inlined.binding(options.bindings)
                    .fixing(dimensions: options.dimensions, leavesOthersOpen: true)
                    .fixing(inputShapes: options.inputShapes).fixing(dimensions: [:])
                var run = GraphImport(name: prepared.graph.name)
                do throws(ONNXError) {
                    return try run.graph(prepared)
                } catch {
                    let wanted = run.refused.map { prepared.graph.decidingInputs(of: $0) } ?? []
                    let operation = run.refused?.operation ?? ""
                    let takesReals = ["Resize", "Upsample", "Range"].contains(operation)
                    let takesReal = ["OneHot", "MelWeightMatrix"].contains(operation)
                    let bound = wanted.filter { name in
                        guard let value = values[name], options.bindings[name] == nil else { return false }
                        return value.dimensions.count < 2
                            && (takesReals || value.isIndex || (takesReal && value.count == 1))
                    }
                    guard !bound.isEmpty else { throw error }
                    for name in bound { options.bindings[name] = values[name] }
                }
            }
        } catch {
            throw error.naming(file: model.file)
        }
    }
}

/// One import under way.
struct GraphImport {
    var builder: GraphBuilder
    /// The node that could not be read, in the outermost graph.
    private(set) var refused: ONNXModel.Node?
    /// The ONNX name for each node of the graph that has none of its own, by position.
    private var titles: [Int: String] = [:]
    /// Nodes read so far, bodies of loops counted as often as they are unrolled.
    private var nodeCount = 0
    private static let nodeLimit = 200_000
    /// Rounds of all loops so far: one takes time even if its body is empty.
    var roundCount = 0
    static let roundLimit = 10_000
    /// What no network needs for one value: a size beyond it is a mistake, or an attack.
    static let byteLimit = 1 << 31 - 1

    /// What names stand for; graphs in attributes see a copy with their own names added.
    struct Scope {
        var values: [String: Value] = [:]
        /// Initialisers become constants at their first use.
        var pending: [String: ONNXTensorValue] = [:]
    }

    init(name: String) {
        builder = GraphBuilder(name: name.isEmpty ? "main" : name)
        builder.foldsConstants = true
    }

    mutating func graph(_ model: ONNXModel) throws(ONNXError) -> Graph {
        var scope = Scope()
        for input in model.requiredInputs {
            scope.values[input.name] = builder.input(input.name, try type(of: input, "input"))
        }
        let results = try body(model.graph, in: &scope)
        for (output, value) in zip(model.graph.outputs, results) {
            let found = builder.type(of: value).element
            if case .tensor(let declared, _) = output.type, declared != .undefined, declared.element != found {
                throw ONNXError(
                    .malformed, subject: "output '\(output.name)'",
                    "it is declared as \(declared), but the nodes make it \(ONNXElementType(found))")
            }
        }
        var graph = builder.finish(outputs: results, names: model.graph.outputs.map(\.name))
        for (index, node) in graph.nodes.enumerated() where node.name == nil && !(node.op is Constant) {
            graph.setName(titles[index], ofNode: index)
        }
        return graph.withoutDeadNodes()
    }

    private func type(of info: ONNXModel.ValueInfo, _ what: String) throws(ONNXError) -> TensorType {
        let subject = "\(what) '\(info.name)'"
        switch info.type {
        case .tensor(let type, let dimensions):
            guard let element = type.element else {
                throw ONNXError(.unsupported, subject: subject, "element type \(type) is not supported")
            }
            guard let dimensions else {
                throw ONNXError(.unsupported, subject: subject, "not even its rank is declared")
            }
            var shape: [Int] = []
            for dimension in dimensions {
                guard case .known(let size) = dimension else {
                    throw ONNXError(.openDimension, subject: subject, "dimension \(shape.count) is open")
                }
                shape.append(size)
            }
            // Sizes whose product overflows would trap in every later computation.
            let bytes = try named(subject) { () throws(ONNXError) in try ONNXTensorValue.byteCount(type, shape) }
            guard bytes <= Self.byteLimit else {
                throw ONNXError(
                    .malformed, subject: subject,
                    "\(type) \(shape) takes \(bytes) bytes; at most \(Self.byteLimit) are read")
            }
            return TensorType(element, shape)
        case .other(let kind):
            throw ONNXError(.unsupported, subject: subject, "values of type \(kind) are not supported")
        case .undeclared:
            throw ONNXError(.malformed, subject: subject, "its type is not declared")
        }
    }

    /// Reads the nodes of a graph whose inputs are in `scope` already; returns its outputs.
    mutating func body(_ graph: ONNXModel.Graph, in scope: inout Scope) throws(ONNXError) -> [Value] {
        for initializer in graph.initializers {
            scope.pending[initializer.name] = initializer.value
            scope.values[initializer.name] = nil
        }
        for node in graph.liveNodes { try read(node, in: &scope) }
        var results: [Value] = []
        for output in graph.outputs { results.append(try lookUp(output.name, in: &scope)) }
        return results
    }

    mutating func lookUp(_ name: String, in scope: inout Scope) throws(ONNXError) -> Value {
        if let value = scope.values[name] { return value }
        guard let initializer = scope.pending[name] else {
            throw ONNXError(.malformed, "'\(name)' is read before it is defined")
        }
        let value = builder.constant(initializer.literal, name: name)
        scope.values[name] = value
        return value
    }

    // MARK: Nodes

    private mutating func read(_ node: ONNXModel.Node, in scope: inout Scope) throws(ONNXError) {
        nodeCount += 1
        guard nodeCount <= Self.nodeLimit else {
            throw ONNXError(.unsupported, "the model has more than \(Self.nodeLimit) nodes once loops are unrolled")
        }
        do throws(ONNXError) {
            var inputs: [Value?] = []
            for input in node.inputs { inputs.append(input.isEmpty ? nil : try lookUp(input, in: &scope)) }
            while case .some(.none) = inputs.last { inputs.removeLast() }
            let results: [Value]
            if let unrolled = try structured(node, inputs, in: scope) {
                results = unrolled
            } else {
                results = try imported(node, inputs)
            }
            for (index, output) in node.outputs.enumerated() where !output.isEmpty {
                guard index < results.count else {
                    throw ONNXError(.unsupported, "its result \(index) ('\(output)') is not supported")
                }
                scope.values[output] = results[index]
            }
        } catch {
            refused = node
            throw error.subject == nil ? error.naming(subject: node.label) : error
        }
    }

    /// Reads a node through the operators' import table.
    mutating func imported(_ node: ONNXModel.Node, _ inputs: [Value?]) throws(ONNXError) -> [Value] {
        if StructuralOperator(node) == .constant { return [try constant(node)] }
        guard let entry = Registry.onnxImports[ONNXImport.key(node.operation, domain: node.domain)] else {
            let domain = node.domain.isEmpty ? "" : " of domain '\(node.domain)'"
            throw ONNXError(.unsupported, "operator \(node.operation)\(domain) is not supported")
        }
        guard entry.versions.contains(node.version) else {
            throw ONNXError(
                .unsupported,
                "operator \(node.operation) is read in opset \(entry.versions.lowerBound) to "
                    + "\(entry.versions.upperBound), but the model uses \(node.version)")
        }
        let title = node.name.isEmpty ? node.outputs.first { !$0.isEmpty } ?? node.operation : node.name
        var neutral = ONNXNode(
            name: title, opType: node.operation, domain: node.domain, opset: node.version, inputs: inputs,
            outputs: node.outputs)
        for attribute in node.attributes { neutral.attributes[attribute.name] = ONNXAttribute(attribute.value) }
        let first = builder.graph.nodes.count
        do throws(ONNXImportError) {
            let results = try entry.read(neutral, &builder)
            for index in first..<builder.graph.nodes.count { titles[index] = title }
            return results
        } catch {
            switch error {
            case .unsupported(let reason): throw ONNXError(.unsupported, reason)
            case .malformed(let reason):
                // A type the operator is not written for shows up as a shape error; that is no fault of the file.
                if let first = inputs.first ?? nil, !entry.elements.contains(builder.type(of: first).element) {
                    throw ONNXError(
                        .unsupported, "operands of type \(builder.type(of: first)) are not supported (\(reason))")
                }
                throw ONNXError(.malformed, reason)
            }
        }
    }

    private mutating func constant(_ node: ONNXModel.Node) throws(ONNXError) -> Value {
        guard node.attributes.count == 1, let attribute = node.attributes.first else {
            throw ONNXError(.malformed, "a constant needs exactly one value, found \(node.attributes.count)")
        }
        let literal: Literal
        switch (attribute.name, attribute.value) {
        case ("value", .tensor(let value)), ("sparse_value", .tensor(let value)): literal = value.literal
        case ("value_float", .float(let value)): literal = Literal([value], shape: [])
        case ("value_floats", .floats(let values)): literal = Literal(values)
        case ("value_int", .integer(let value)): literal = Literal([value], shape: [])
        case ("value_ints", .integers(let values)): literal = Literal(values)
        case ("value_string", _), ("value_strings", _):
            throw ONNXError(.unsupported, "constants of strings are not supported")
        default: throw ONNXError(.malformed, "'\(attribute.name)' is no value of a constant")
        }
        return builder.constant(literal, name: node.outputs.first)
    }

    private func named<T>(_ subject: String, _ body: () throws(ONNXError) -> T) throws(ONNXError) -> T {
        do throws(ONNXError) { return try body() } catch { throw error.naming(subject: subject) }
    }
}

extension ONNXTensorValue {
    /// Whether the elements can be sizes or positions.
    fileprivate var isIndex: Bool { elementType == .int64 || elementType == .int32 }
}

extension ONNXAttribute {
    init(_ value: ONNXModel.AttributeValue) {
        self =
            switch value {
            case .integer(let value): .int(value)
            case .float(let value): .float(value)
            case .string(let value): .string(value)
            case .integers(let values): .ints(values)
            case .floats(let values): .floats(values)
            case .strings(let values): .strings(values)
            case .tensor(let value): .tensor(value.literal)
            case .graph, .graphs: .unsupported("graph")
            case .tensors: .unsupported("list of tensors")
            case .type: .unsupported("type")
            case .reference(let name): .unsupported("reference to '\(name)'")
            }
    }
}

extension ONNXModel.Graph {
    /// The graph inputs that a node's shape operands come from.
    ///
    /// Its first operand counts as data, unless the operator makes a tensor out of numbers alone.
    func decidingInputs(of node: ONNXModel.Node) -> [String] {
        let makers = [
            "ConstantOfShape", "Range", "Loop", "If", "HannWindow", "HammingWindow", "BlackmanWindow",
            "MelWeightMatrix",
        ]
        var producer: [String: ONNXModel.Node] = [:]
        for node in nodes { for output in node.outputs { producer[output] = node } }
        let given = Set(inputs.map(\.name))
        var queue = makers.contains(node.operation) ? node.inputs : Array(node.inputs.dropFirst())
        var seen = Set(queue)
        var found: [String] = []
        while let name = queue.popLast() {
            if given.contains(name) { found.append(name) }
            for next in producer[name]?.reads ?? [] where seen.insert(next).inserted { queue.append(next) }
        }
        return found
    }

    /// The error with the remedy added, where integers that arrive as inputs are what the node lacks.
    fileprivate func suggestingBindings(for node: ONNXModel.Node, _ error: ONNXError) -> ONNXError {
        guard error.code == .unsupported,
            StructuralOperator(node) != nil
                || Registry.onnxImports[ONNXImport.key(node.operation, domain: node.domain)] != nil
        else { return error }
        let deciding = decidingInputs(of: node).filter { name in
            guard case .tensor(let element, let shape)? = inputs.first(where: { $0.name == name })?.type else {
                return false
            }
            return [.int64, .int32, .bool].contains(element) && (shape?.count ?? 0) < 2
        }
        guard let first = deciding.min() else { return error }
        var error = error
        error.cause += "; if input '\(first)' decides it, give its value, such as --bind \(first)=1"
        return error
    }

    /// The nodes that the outputs depend on.
    var liveNodes: [ONNXModel.Node] {
        var needed = Set(outputs.map(\.name))
        var live: [ONNXModel.Node] = []
        for node in nodes.reversed() where node.outputs.contains(where: { !$0.isEmpty && needed.contains($0) }) {
            needed.formUnion(node.reads)
            live.append(node)
        }
        return live.reversed()
    }
}
