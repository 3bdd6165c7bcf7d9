import CKernels
public import IR
public import Passes

/// Runs a graph: memory planned once, kernels in C on a pool of threads, no allocation from the second run on.
///
/// Every node is a kernel call where its operator has one for the node's types; otherwise it is run by its definition,
/// which is slow and listed in ``fallbacks``. Results depend on the number of threads alone, bit for bit.
///
/// One task owns an executor, with its pool and arena.
public final class Executor {
    public let graph: Graph
    public let plan: MemoryPlan
    public let pool: ThreadPool
    /// Indices of the nodes that run by their definitions, for lack of a kernel.
    public let fallbacks: [Int]
    /// Times of the nodes of the latest run, when ``measuresTimes`` is set.
    public private(set) var times: [NodeTime] = []
    public var measuresTimes = false

    private let arena: Arena
    /// Kept, because its memory is read in place.
    private let storage: any ParameterStorage
    private let program: Program
    private let constants: [Int: UnsafeMutableRawPointer]
    private let parameters: [Int: UnsafeMutableRawPointer]
    /// Copies of inputs that are not aligned as kernels need them, made when first met.
    private var staging: [UnsafeMutableRawPointer?]
    private var boundInputs: [UnsafeRawPointer?]
    private var boundGeneration = -1
    private var stamps: [Int64] = []

    /// When a node ran, in nanoseconds of the monotonic clock.
    public struct NodeTime: Sendable {
        public var node: Int
        public var start: Int64
        public var duration: Int64
    }

    /// - Parameters:
    ///   - graph: verified for training.
    ///   - parameters: holds every parameter of the graph; their memory is read in place.
    ///   - arena: shared with other executors that do not run at the same time.
    /// - Throws: ``ExecutionError`` for a missing parameter or one of another size, an operator that nothing can run, or
    ///   too little memory.
    public init(
        _ graph: Graph, pool: ThreadPool, parameters: any ParameterStorage = NoParameters(), arena: Arena = Arena(),
        effort: MemoryPlan.Effort = .thorough
    ) throws(ExecutionError) {
        self.graph = graph
        self.pool = pool
        self.arena = arena
        storage = parameters
        self.parameters = try Self.memory(of: graph, in: parameters)
        let calls = graph.nodes.map { node in
            node.op is any SourceOperator
                ? nil : chooseKernel(node.op, graph.types(of: node.operands), graph.types(of: node.results))
        }
        let plan = MemoryPlan(graph, options: Self.planning(effort)) { index, _ in
            calls[index]?.scratchBytes(parts: pool.threads) ?? 0
        }
        self.plan = plan
        program = Program(graph, plan, calls)
        fallbacks = program.fallbacks
        for index in fallbacks where !graph.nodes[index].op.isDefined(for: graph.types(of: graph.nodes[index].operands))
        {
            let node = graph.nodes[index]
            throw ExecutionError(
                .unsupported,
                "node \(index) (\(node.op.mnemonic)) has no kernel for \(graph.types(of: node.operands)) and no definition"
            )
        }
        try arena.reserve(plan.arenaBytes)
        var constants: [Int: UnsafeMutableRawPointer] = [:]
        for node in graph.nodes {
            if let constant = node.op as? Constant {
                let type = graph.type(of: node.results[0])
                let memory = UnsafeMutableRawPointer.allocate(byteCount: max(type.byteCount, 1), alignment: 64)
                constant.literal.store(as: type, to: memory)
                constants[node.results[0].id] = memory
            }
        }
        self.constants = constants
        staging = Array(repeating: nil, count: graph.inputs.count)
        boundInputs = Array(repeating: nil, count: graph.inputs.count)
    }

    deinit {
        for memory in constants.values { memory.deallocate() }
        for memory in staging { memory?.deallocate() }
    }

    /// Outputs stay in the arena; parts of larger tensors are copied, as their kernels do.
    private static func planning(_ effort: MemoryPlan.Effort) -> MemoryPlan.Options {
        var options = MemoryPlan.Options(outputsInArena: true, effort: effort)
        (options.viewsParts, options.placesConcatenations) = (false, false)
        return options
    }

    /// Bytes of the arena that a graph would need on so many threads.
    public static func arenaBytes(of graph: Graph, threads: Int) -> Int {
        MemoryPlan(graph, options: planning(.quick)) { _, node in
            node.op is any SourceOperator
                ? 0
                : chooseKernel(node.op, graph.types(of: node.operands), graph.types(of: node.results))?
                    .scratchBytes(parts: threads) ?? 0
        }.arenaBytes
    }

    /// Runs the graph once on the given inputs, each in the layout of its type.
    ///
    /// - Throws: ``ExecutionError`` for a wrong number or size of inputs.
    public func run(_ inputs: [UnsafeRawBufferPointer] = []) throws(ExecutionError) {
        try bind(inputs)
        if measuresTimes { times.removeAll(keepingCapacity: true) }
        for segment in program.segments {
            switch segment {
            case .steps(let range): runSteps(range)
            case .fallback(let index): try runFallback(index)
            }
        }
    }

    /// Runs the graph once on inputs in row-major order.
    ///
    /// - Throws: ``ExecutionError`` for a wrong number or size of inputs.
    public func run(literals: [Literal]) throws(ExecutionError) {
        for (value, literal) in zip(graph.inputs, literals) where literal.type != graph.type(of: value).plain {
            throw ExecutionError(
                .input, "graph \(graph.name) expects an input \(graph.type(of: value)), found \(literal.type)")
        }
        guard literals.count == graph.inputs.count else {
            throw ExecutionError(
                .input, "graph \(graph.name) has \(graph.inputs.count) inputs, found \(literals.count)")
        }
        var inputs: [UnsafeRawBufferPointer] = []
        for (index, literal) in literals.enumerated() {
            let type = graph.type(of: graph.inputs[index]), copy = staged(index)
            literal.store(as: type, to: copy)
            inputs.append(UnsafeRawBufferPointer(start: copy, count: type.byteCount))
        }
        try run(inputs)
    }

    /// The output with the given index, of the latest run. One that is an input handed through is read where the caller
    /// keeps it.
    public func output(_ index: Int) -> TensorView {
        let value = graph.outputs[index]
        guard let address = address(of: value) else {
            preconditionFailure("output \(index) is read before the first run")
        }
        return TensorView(graph.type(of: value), address, owner: self)
    }

    /// The output of the given name, of the latest run.
    public func output(named name: String) -> TensorView? { graph.outputNames.firstIndex(of: name).map(output) }

    // MARK: Running

    private func runSteps(_ range: Range<Int>) {
        guard measuresTimes else {
            martlet_pool_run(pool.pointer, program.steps + range.lowerBound, Int64(range.count), nil)
            return
        }
        if stamps.count <= range.count { stamps = Array(repeating: 0, count: range.count + 1) }
        stamps.withUnsafeMutableBufferPointer {
            martlet_pool_run(pool.pointer, program.steps + range.lowerBound, Int64(range.count), $0.baseAddress)
        }
        for (position, step) in range.enumerated() {
            let start = stamps[position]
            times.append(NodeTime(node: program.nodes[step], start: start, duration: stamps[position + 1] - start))
        }
    }

    private func runFallback(_ index: Int) throws(ExecutionError) {
        let start = martlet_now(), node = graph.nodes[index]
        let operands = node.operands.map { (graph.type(of: $0), UnsafeRawPointer(known($0))) }
        let results = node.results.map { (graph.type(of: $0), known($0)) }
        do throws(ShapeError) {
            try Fallback.run(node, operands, results)
        } catch {
            throw ExecutionError(.unsupported, error.description)
        }
        if measuresTimes { times.append(NodeTime(node: index, start: start, duration: martlet_now() - start)) }
    }

    // MARK: Addresses

    private func bind(_ inputs: [UnsafeRawBufferPointer]) throws(ExecutionError) {
        guard inputs.count == graph.inputs.count else {
            throw ExecutionError(.input, "graph \(graph.name) has \(graph.inputs.count) inputs, found \(inputs.count)")
        }
        for (index, input) in inputs.enumerated() {
            let type = graph.type(of: graph.inputs[index])
            guard input.count == type.byteCount else {
                throw ExecutionError(
                    .input,
                    "input \(AttributeValue.quote(graph.inputNames[index])) of graph \(graph.name) is \(type) "
                        + "(\(type.byteCount) bytes), found \(input.count) bytes")
            }
            boundInputs[index] = aligned(input, index)
        }
        if boundGeneration != arena.generation {
            program.bind(arena: arena.base) { address(of: $0) }
            boundGeneration = arena.generation
        } else {
            program.bindInputs { address(of: $0) }
        }
    }

    private func aligned(_ input: UnsafeRawBufferPointer, _ index: Int) -> UnsafeRawPointer? {
        guard let base = input.baseAddress, Int(bitPattern: base) % 64 != 0 else { return input.baseAddress }
        let copy = staged(index)
        copy.copyMemory(from: base, byteCount: input.count)
        return UnsafeRawPointer(copy)
    }

    /// Memory of the executor for the input with the given index.
    private func staged(_ index: Int) -> UnsafeMutableRawPointer {
        if let known = staging[index] { return known }
        let bytes = max(graph.type(of: graph.inputs[index]).byteCount, 1)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        staging[index] = memory
        return memory
    }

    private func address(of value: Value) -> UnsafeMutableRawPointer? {
        let place = plan.places[value.id]
        guard case .external(let owner) = place.base else { return arena.base + place.offset }
        let base: UnsafeMutableRawPointer? =
            if let position = program.inputPositions[owner.id] {
                // Kernels only read inputs; the plan never places a result in one.
                boundInputs[position].map { UnsafeMutableRawPointer(mutating: $0) }
            } else {
                parameters[owner.id] ?? constants[owner.id]
            }
        return base.map { $0 + place.offset }
    }

    private func known(_ value: Value) -> UnsafeMutableRawPointer {
        guard let address = address(of: value) else { preconditionFailure("%\(value.id) has no memory") }
        return address
    }

    private static func memory(
        of graph: Graph, in storage: any ParameterStorage
    ) throws(ExecutionError) -> [Int: UnsafeMutableRawPointer] {
        var found: [Int: UnsafeMutableRawPointer] = [:]
        for (name, value) in graph.parameters {
            let type = graph.type(of: value), quoted = AttributeValue.quote(name)
            guard let memory = storage.memory(ofParameter: name), let base = memory.baseAddress else {
                throw ExecutionError(.parameter, "parameter \(quoted) of graph \(graph.name) is not in the storage")
            }
            guard memory.count == type.byteCount else {
                throw ExecutionError(
                    .parameter,
                    "parameter \(quoted) is \(type) (\(type.byteCount) bytes), but the storage holds \(memory.count) bytes"
                )
            }
            precondition(Int(bitPattern: base) % 64 == 0, "parameter \(quoted) is not aligned to 64 bytes")
            found[value.id] = base
        }
        return found
    }
}

extension Operator {
    /// Whether the interpreter can run it on small zeros of these types' ranks: it has a definition or a decomposition.
    fileprivate func isDefined(for x: [TensorType]) -> Bool {
        if let decomposition = try? Interpreter.decomposition(of: self, x), decomposition.outputs.count > 0 {
            return true
        }
        guard let y = try? inferPlain(x) else { return false }
        // A definition says nothing about itself until it is run: tensors this large are not run for the question.
        guard (x + y).reduce(0, { $0 + $1.count }) <= 4096 else { return true }
        let zeros = x.map { ReferenceTensor<Float>($0.plain, [Float](repeating: 0, count: $0.count)) }
        return evaluate(zeros, y) != nil
    }
}
