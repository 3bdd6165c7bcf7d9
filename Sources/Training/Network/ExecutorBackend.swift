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
    ///   - fusesNormalisation: Whether normalisation is fused with what stands around it, which is faster.
    public static func executor(
        pool: ThreadPool, arena: Arena = Arena(), effort: MemoryPlan.Effort = .thorough, memoryLimit: Int? = nil,
        fusesNormalisation: Bool = true
    ) -> Backend {
        let threads = pool.threads
        return Backend("executor") { graph, parameters in
            var lowered = try executorGraph(graph, fusesNormalisation: fusesNormalisation)
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
    public static func executorGraph(_ graph: Graph, fusesNormalisation: Bool = true) throws(PassError) -> Graph {
        try lowerForExecution(chooseLayout()(fusesNormalisation ? fuseNormalisation(graph) : graph))
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
