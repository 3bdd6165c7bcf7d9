public import Execution
public import IR
public import Passes

extension Backend {
    /// The executor: kernels in C on a pool of threads, in memory planned once for each graph.
    ///
    /// - Parameters:
    ///   - arena: Memory that all graphs of the backend share; what a run leaves is valid until the next of any of them.
    ///   - effort: How hard to look for a small memory plan; less pays off where each step has a graph of its own.
    ///   - memoryLimit: Bytes that a graph's values may take; forward values are then computed twice where that is needed.
    ///   - settings: How graphs are rewritten before they run.
    public static func executor(
        pool: ThreadPool, arena: Arena = Arena(), effort: MemoryPlan.Effort = .thorough, memoryLimit: Int? = nil,
        _ settings: ExecutionSettings = ExecutionSettings()
    ) -> Backend {
        let threads = pool.threads
        return Backend("executor", pool: pool) { graph, parameters in
            var lowered = try executorGraph(graph, settings)
            if let memoryLimit {
                let limit = recompute(within: memoryLimit) { graph throws(PassError) in
                    Executor.arenaBytes(of: graph, threads: threads)
                }
                lowered = try limit(lowered)
            }
            let storage = NamedParameters(zip(graph.parameters, parameters).map { ($0.name, $1) })
            return ExecutedProgram(
                try Executor(lowered, pool: pool, parameters: storage, arena: arena, effort: effort))
        }
    }

    /// A graph as the executor runs it: in the layouts and operators that have kernels.
    public static func executorGraph(
        _ graph: Graph, _ settings: ExecutionSettings = ExecutionSettings()
    ) throws(PassError) -> Graph {
        var graph = graph
        if settings.fusesNormalisation {
            graph = try normalisationFusion(joinsChains: settings.joinsChains)(graph)
            if settings.joinsChains { graph = try joinChains(graph) }
        }
        if settings.precision == .bf16 { graph = try reducePrecision(graph) }
        graph = try lowerForExecution(chooseLayout()(graph))
        for pass in settings.further { graph = try pass(graph) }
        return graph
    }
}

/// How a training step is rewritten before it runs. All but the precision serves comparisons.
public struct ExecutionSettings: Sendable {
    /// What products are of.
    public enum Precision: String, CaseIterable, Codable, Sendable { case f32, bf16 }

    /// `bf16` rounds the operands of dense convolutions that are fused; sums and parameters stay `f32`.
    public var precision: Precision
    /// Whether normalisation is fused with what stands around it.
    public var fusesNormalisation: Bool
    /// Whether separable convolutions are one operator, and those of one image as well, where normalisation is fused.
    public var joinsChains: Bool
    /// Passes behind all others.
    public var further: [Pass]

    public init(
        precision: Precision = .f32, fusesNormalisation: Bool = true, joinsChains: Bool = true, further: [Pass] = []
    ) {
        (self.precision, self.fusesNormalisation) = (precision, fusesNormalisation)
        (self.joinsChains, self.further) = (joinsChains, further)
    }
}

/// Parameters by name in the memory of a store.
private final class NamedParameters: ParameterStorage {
    private let tensors: [String: StoredTensor]

    init(_ pairs: [(String, StoredTensor)]) { tensors = Dictionary(pairs) { first, _ in first } }

    func memory(ofParameter name: String) -> UnsafeMutableRawBufferPointer? {
        tensors[name].map { UnsafeMutableRawBufferPointer($0.values) }
    }
}

private final class ExecutedProgram: GraphProgram {
    private let executor: Executor

    init(_ executor: Executor) { self.executor = executor }

    func run(_ inputs: [UnsafeRawPointer]) throws {
        let graph = executor.graph
        try executor.run(
            zip(graph.inputs, inputs).map { UnsafeRawBufferPointer(start: $1, count: graph.type(of: $0).byteCount) })
    }

    func output(_ index: Int) -> UnsafeBufferPointer<Float> {
        // The executor keeps the memory until its next run, which is what the protocol promises.
        executor.output(index).withUnsafeBytes { $0.bindMemory(to: Float.self) }
    }

    var slowOperators: [String] { executor.fallbacks.map { executor.graph.nodes[$0].op.mnemonic } }
}
