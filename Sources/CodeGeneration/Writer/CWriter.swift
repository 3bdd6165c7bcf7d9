public import IR
public import Passes

extension CProgram {
    /// The program that computes a deployable graph.
    ///
    /// The text is a function of the graph and the options alone. Every value of the graph that is not an input, an output
    /// or a constant lies in the caller's arena, where the memory plan puts it.
    ///
    /// - Throws: ``ExportError`` naming an operator that has no C, or a test vector that does not fit the graph.
    public init(_ graph: Graph, options: COptions) throws(ExportError) {
        do throws(VerificationError) { try graph.verify(.deployable) } catch {
            throw ExportError(.invalid, "\(graph.name) is not ready to be written as C: \(error.description)")
        }
        var writer = try CWriter(graph, options)
        try writer.writeSteps()
        self = try writer.program()
    }
}

extension CProgram {
    /// Where the program of a graph keeps its values, scratch memory included.
    ///
    /// - Throws: ``ExportError`` as the initialiser does.
    public static func memory(of graph: Graph) throws(ExportError) -> MemoryPlan {
        CStorage.plan(graph, try CWriter.codes(of: graph, graph.constants))
    }
}

/// Collects the parts of a program while it walks the graph once.
struct CWriter {
    let graph: Graph
    let options: COptions
    let name: String
    let inputs: [CProgram.Port]
    let outputs: [CProgram.Port]

    private let constants: [Value: Literal]
    private let codes: [NodeCode?]
    let storage: CStorage
    private(set) var weights = CWeights()
    private(set) var functions = CFunctions()
    private(set) var calls = ""
    /// Functions that call one step's function for one share.
    private(set) var tasks = ""
    private(set) var steps: [CProgram.Step] = []
    private(set) var copiesMemory = false
    /// The most shares that a step has.
    var threads: Int { codes.map { $0?.shares ?? 1 }.max() ?? 1 }

    init(_ graph: Graph, _ options: COptions) throws(ExportError) {
        self.graph = graph
        self.options = options
        name = CNames.identifier(options.name, fallback: "model")
        inputs = Self.ports(graph.inputs, graph.inputNames, graph, "input")
        outputs = Self.ports(graph.outputs, graph.outputNames, graph, "output")
        let constants = graph.constants
        self.constants = constants
        codes = try Self.codes(of: graph, constants)
        storage = CStorage(graph, codes)
    }

    /// The code of every node; `nil` for those that compute nothing.
    static func codes(of graph: Graph, _ constants: [Value: Literal]) throws(ExportError) -> [NodeCode?] {
        var codes: [NodeCode?] = []
        for node in graph.nodes { codes.append(try code(of: node, graph, constants)) }
        return codes
    }

    /// The scratch memory of every node; none for those without code, which the writer refuses.
    static func scratchBytes(of graph: Graph) -> [Int] {
        let constants = graph.constants
        return graph.nodes.map { node in
            let code = try? code(of: node, graph, constants)
            return code?.body.scratchBytes ?? 0
        }
    }

    /// The code of a node; `nil` for one that computes nothing: a constant, a view, a result without elements.
    private static func code(of node: Node, _ graph: Graph, _ constants: [Value: Literal]) throws(ExportError)
        -> NodeCode?
    {
        let operands = graph.types(of: node.operands), results = graph.types(of: node.results)
        if node.op is Constant || results.allSatisfy({ $0.count == 0 }) { return nil }
        if CStorage.isAlwaysView(node, graph) { return nil }
        var literals: [Int: Literal] = [:]
        for (index, operand) in node.operands.enumerated() { literals[index] = constants[operand] }
        return try NodeSite(node, operands: operands, results: results, constants: literals).code()
    }

    private static func ports(_ values: [Value], _ names: [String], _ graph: Graph, _ fallback: String) -> [CProgram
        .Port]
    {
        var fields = CNames()
        return zip(values, names).map {
            CProgram.Port(name: $1, field: fields.unique($1, fallback: fallback), type: graph.type(of: $0))
        }
    }

    // MARK: Steps

    mutating func writeSteps() throws(ExportError) {
        for (index, node) in graph.nodes.enumerated() {
            guard let code = codes[index], !storage.isView(node, graph) else { continue }
            writeStep(index, node, code)
        }
        for index in storage.copiedOutputs {
            let value = graph.outputs[index], type = graph.type(of: value)
            guard type.byteCount > 0 else { continue }
            copiesMemory = true
            calls += "    MARTLET_MEMCPY(outputs->\(outputs[index].field), \(read(value)), \(type.byteCount));\n"
        }
    }

    private mutating func writeStep(_ index: Int, _ node: Node, _ code: NodeCode) {
        let results = graph.types(of: node.results)
        let step = steps.count
        steps.append(CProgram.Step(node: index, mnemonic: node.op.mnemonic, name: node.name, results: results))
        var signature = CFunctions.Signature(
            body: code.body, operands: [:], results: results.map(\.element), inPlace: [:], isShared: code.shares > 1)
        var arguments: [String] = []
        for (position, operand) in node.operands.enumerated() {
            if let packed = code.packed[position] {
                guard let literal = packed else { continue }
                signature.operands[position] = literal.element
                arguments.append(weight(literal))
                continue
            }
            signature.operands[position] = graph.type(of: operand).element
            if let offset = storage.offset(of: operand, inside: node.results[0], graph) {
                signature.inPlace[position] = offset
            } else {
                arguments.append(read(operand))
            }
        }
        for result in node.results { arguments.append(write(result)) }
        if code.body.scratchBytes > 0 { arguments.append("arena + \(storage.scratch[index])") }
        let function = functions.name(of: signature, mnemonic: node.op.mnemonic, support: code.support)

        let label = node.name.map { " \"\($0.inComment)\"" } ?? ""
        calls +=
            "    /* \(step): \(node.op.mnemonic)\(label) -> \(results.map(\.description).joined(separator: ", ")) */\n"
        if options.profile { calls += "    MARTLET_HOOK(begin, (inputs->hooks->context, \(step)))\n" }
        if code.shares > 1 {
            writeShares(step, code, function, arguments)
        } else {
            calls += "    \(function)(\(arguments.joined(separator: ", ")));\n"
        }
        if options.profile { calls += "    MARTLET_HOOK(end, (inputs->hooks->context, \(step)))\n" }
        if options.dump {
            for (result, value) in node.results.enumerated() {
                let bytes = graph.type(of: value).byteCount
                calls +=
                    "    MARTLET_HOOK(value, (inputs->hooks->context, \(step), \(result), \(read(value)), \(bytes)))\n"
            }
        }
    }

    /// One task for each phase, and the calls that hand them out.
    private mutating func writeShares(_ step: Int, _ code: NodeCode, _ function: String, _ arguments: [String]) {
        for (phase, kind) in code.phases.enumerated() {
            func call(_ part: String) -> String {
                "    \(function)(\((arguments + [part, "\(phase)"]).joined(separator: ", ")));\n"
            }
            guard kind == .shared else {
                calls += call("0")
                continue
            }
            let task = "task_\(step)" + (code.phases.count > 1 ? "_\(phase)" : "")
            let pointers: [(word: String, declaration: String)] = [
                ("inputs", "    const \(name)_inputs *const inputs = call->inputs;\n"),
                ("outputs", "    const \(name)_outputs *const outputs = call->outputs;\n"),
                ("arena", "    unsigned char *const arena = call->arena;\n"),
                ("weights", "    const unsigned char *const weights = call->weights;\n"),
            ]
            var words = arguments.joined(separator: " ").words
            if words.contains("ARENA") { words.insert("arena") }
            if words.contains("WEIGHT"), takesWeights { words.insert("weights") }
            tasks += "static void \(task)(void *argument, int part)\n{\n"
            tasks += "    const struct shared_call *const call = argument;\n"
            for (word, declaration) in pointers where words.contains(word) { tasks += declaration }
            tasks += call("part") + "}\n\n"
            calls += "    share(inputs->parallel, \(task), &call, \(code.shares));\n"
        }
    }

    // MARK: Addresses

    private mutating func weight(_ literal: Literal) -> String {
        let slot = weights.slot(of: literal)
        return options.weights == .c ? slot.array : "WEIGHT(\(literal.element.cType), \(slot.offset))"
    }

    private mutating func read(_ value: Value) -> String {
        let type = graph.type(of: value).element.cType
        switch storage[value] {
        case .input(let index, let offset):
            return address("inputs->\(inputs[index].field)", offset, graph.inputs[index], value, "const ")
        case .output(let index, let offset):
            return address("outputs->\(outputs[index].field)", offset, graph.outputs[index], value, "const ")
        case .arena(let offset): return "ARENA(\(type), \(offset))"
        case .constant(let source, let offset):
            guard let literal = constants[source] else { preconditionFailure("a constant's place without a constant") }
            return address(weight(literal), offset, source, value, "const ")
        case .none: return "(const \(type) *)0"
        }
    }

    private func write(_ value: Value) -> String {
        let type = graph.type(of: value).element.cType
        switch storage[value] {
        case .output(let index, let offset):
            return address("outputs->\(outputs[index].field)", offset, graph.outputs[index], value, "")
        case .arena(let offset): return "ARENA(\(type), \(offset))"
        case .none: return "(\(type) *)0"
        case .input, .constant: preconditionFailure("a node writes into memory that is only read")
        }
    }

    /// A pointer of the type of `source`, moved by bytes and turned into one of the type of `value`.
    private func address(_ pointer: String, _ offset: Int, _ source: Value, _ value: Value, _ qualifier: String)
        -> String
    {
        let from = graph.type(of: source).element, to = graph.type(of: value).element
        if offset == 0 && from.cType == to.cType { return pointer }
        if from.cType == to.cType && offset % from.size == 0 { return "\(pointer) + \(offset / from.size)" }
        return "(\(qualifier)\(to.cType) *)(\(qualifier)void *)((\(qualifier)unsigned char *)\(pointer) + \(offset))"
    }

    // MARK: The whole

    func program() throws(ExportError) -> CProgram {
        var sources = [CProgram.File(name + ".h", header()), CProgram.File(name + ".c", source())]
        if options.weights != .c && !weights.blob.isEmpty {
            sources.append(CProgram.File(name + "_weights.bin", contents: weights.blob))
        }
        return CProgram(
            name: name, sources: sources + pool(), companions: try companions(), inputs: inputs, outputs: outputs,
            arenaBytes: storage.arenaBytes, arenaAlignment: CStorage.alignment, weightBytes: weights.blob.count,
            steps: steps, threads: threads)
    }
}
