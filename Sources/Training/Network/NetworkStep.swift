import CKernels
public import IR
import Passes

/// One network with its loss and gradient, ready to run on batches. It changes no parameter.
///
/// What a step reports (loss, logits, statistics, gradients) is valid until the next run.
public final class NetworkStep {
    public let graph: Graph
    /// Loss gradients of the parameters that the loss depends on; no others may be updated.
    public let gradients: [ParameterGradient]
    private let store: ParameterStore
    private let backend: Backend
    private let program: any GraphProgram
    private let statistics: [(name: String, output: Int)]

    /// - Parameter form: A network's training form, see ``Graph/trainingForm()``; the store holds its parameters.
    /// - Throws: ``ShapeError`` for an operator without a gradient, or a parameter that the store lacks.
    public init(_ form: Graph, store: ParameterStore, backend: Backend) throws {
        let graph = try form.withParameterGradients()
        self.graph = graph
        self.store = store
        self.backend = backend
        let program = try backend.program(graph, store: store)
        self.program = program
        var gradients: [ParameterGradient] = []
        for (index, name) in graph.outputNames.enumerated() where name.hasPrefix(Graph.FormName.gradientPrefix) {
            guard let tensor = store[String(name.dropFirst(Graph.FormName.gradientPrefix.count))] else { continue }
            gradients.append(ParameterGradient(tensor) { program.output(index) })
        }
        self.gradients = gradients
        statistics = form.statisticsOutputs
    }

    /// Operators of the step that the backend has no kernel for.
    public var slowOperators: [String] { program.slowOperators }

    /// The batch's mean loss after ``run(_:key:)``.
    public var loss: Float { program.output(0)[0] }

    /// Images of the batch whose largest logit is at their label.
    public func correct(in batch: Batch) -> Int {
        let logits = program.output(1)
        return Int(
            martlet_data_correct(
                logits.baseAddress, batch.labels.baseAddress, Int64(batch.count), Int64(batch.classCount)))
    }

    /// Forward and backward on a batch.
    ///
    /// - Parameters:
    ///   - random: Where the key of dropout's draws comes from.
    ///   - progress: How far training has come, from 0 to 1: paths are dropped more and more.
    /// - Throws: ``ShapeError`` when the batch does not fit the network.
    public func run(_ batch: Batch, random: RandomSource, progress: Double = 1) throws {
        try NetworkInputs(batch, random: random, progress: progress).run(graph, program)
    }

    /// Moves the running statistics towards the batch's: `running += momentum (batch - running)`.
    ///
    /// - Precondition: The store's running statistics are of the batch's width: widths are not shared.
    public func updateStatistics(momentum: Double) {
        for (name, output) in statistics {
            guard let running = store[name] else { continue }
            precondition(running.count == program.output(output).count, "statistics \(name) are of a shared width")
            let values = UnsafeRawPointer(running.values.baseAddress)
            call(
                martlet_blend, on: [values, UnsafeRawPointer(program.output(output).baseAddress)], into: [values],
                integers: [running.count], reals: [1 - momentum, momentum])
        }
    }

    /// Which operator first made a value that is NaN or infinite in a run on this batch; `nil` when none did.
    ///
    /// Intermediate values share memory in a step, so the graph is run again, a few nodes' results at a time as its
    /// outputs.
    public func firstNonFinite(_ batch: Batch, random: RandomSource, progress: Double = 1) throws -> String? {
        try graph.firstNonFinite(
            NetworkInputs(batch, random: random, progress: progress), store: store, backend: backend)
    }
}

extension Graph {
    /// Which operator first made a value that is NaN or infinite on these inputs.
    func firstNonFinite(_ inputs: NetworkInputs, store: ParameterStore, backend: Backend) throws -> String? {
        let graph = self
        for (name, value) in graph.parameters where graph.type(of: value).element == .f32 {
            if let tensor = store[name], martlet_first_nonfinite(tensor.values.baseAddress, Int64(tensor.count)) >= 0 {
                return "parameter \(AttributeValue.quote(name))"
            }
        }
        let candidates = graph.nodes.filter { node in
            !node.operands.isEmpty && node.results.allSatisfy { graph.type(of: $0).element == .f32 }
        }
        let chunk = 32
        for start in stride(from: 0, to: candidates.count, by: chunk) {
            let nodes = candidates[start..<min(start + chunk, candidates.count)]
            let values = nodes.flatMap(\.results)
            var part = graph
            part.setOutputs(values, names: values.indices.map { "value\($0)" })
            part = part.pruned()
            let program = try backend.program(part, store: store)
            try inputs.run(part, program)
            var index = 0
            for node in nodes {
                for result in node.results {
                    let output = program.output(index)
                    index += 1
                    if martlet_first_nonfinite(output.baseAddress, Int64(graph.type(of: result).count)) >= 0 {
                        return "\(node.op.mnemonic) \(AttributeValue.quote(node.name ?? "%\(result.id)"))"
                    }
                }
            }
        }
        return nil
    }
}

/// What a network is fed from a batch.
struct NetworkInputs {
    let batch: Batch
    let key: [UInt32]
    let progress: Float
    /// Further `f32` inputs by name, in memory that outlives the run; they go before the batch's.
    var further: [String: UnsafeBufferPointer<Float>] = [:]

    init(_ batch: Batch, random: RandomSource = RandomSource(seed: 0), progress: Double = 1) {
        self.batch = batch
        self.progress = Float(progress)
        var random = random
        let word = random.next()
        key = [UInt32(truncatingIfNeeded: word), UInt32(truncatingIfNeeded: word >> 32)]
    }

    /// Runs the program of `graph`, whose inputs are images, targets, keys of random draws and training's progress.
    func run(_ graph: Graph, _ program: any GraphProgram) throws {
        try withUnsafeBytes(of: (key[0], key[1], progress)) { draws in
            let pointers = try zip(graph.inputs, graph.inputNames).map { value, name throws(ShapeError) in
                let type = graph.type(of: value)
                if let values = further[name], values.count == type.count, let start = values.baseAddress {
                    return UnsafeRawPointer(start)
                }
                if type.isRandomKey { return draws.baseAddress! }
                if name == Graph.FormName.progress, type == TensorType(.f32, []) { return draws.baseAddress! + 8 }
                let images = [batch.capacity] + batch.imageShape
                if type.plain == TensorType(.f32, images) { return UnsafeRawPointer(batch.images.baseAddress!) }
                let targets = [batch.capacity, batch.classCount]
                if name == Graph.FormName.targets, type == TensorType(.f32, targets) {
                    return UnsafeRawPointer(batch.targets.baseAddress!)
                }
                if name == Graph.FormName.labels, type == TensorType(.i32, [batch.capacity]) {
                    return UnsafeRawPointer(batch.labels.baseAddress!)
                }
                throw ShapeError(
                    "the network expects \(type); the batch holds images f32\(images) and targets f32\(targets)",
                    at: name)
            }
            try program.run(pointers)
        }
    }
}
