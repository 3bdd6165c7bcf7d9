public import Execution
import IR
public import Passes

extension Backend {
    /// The executor: kernels in C on a pool of threads, in memory planned once for each graph.
    ///
    /// - Parameters:
    ///   - arena: Memory that all graphs of the backend share; what a run leaves is valid until the next of any of them.
    ///   - effort: How hard to look for a small memory plan; less pays off where each step has a graph of its own.
    public static func executor(
        pool: ThreadPool, arena: Arena = Arena(), effort: MemoryPlan.Effort = .thorough
    ) -> Backend {
        Backend("executor") { graph, parameters in
            let lowered = try lowerForExecution(chooseLayout()(graph))
            let storage = NamedParameters(zip(graph.parameters, parameters).map { ($0.name, $1) })
            return ExecutedProgram(
                try Executor(lowered, pool: pool, parameters: storage, arena: arena, effort: effort))
        }
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
