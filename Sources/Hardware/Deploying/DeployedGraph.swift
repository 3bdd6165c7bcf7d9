public import CodeGeneration
public import IR

/// A graph compiled for a target, which runs there: the way to see that it computes the right numbers.
public struct DeployedGraph: Sendable {
    public let graph: Graph
    public let program: CProgram
    public let built: BuiltProgram
    private let runner: ProgramRunner

    /// Deploys the graph, writes it as C and compiles that.
    ///
    /// - Parameter parameters: the values of the graph's parameters.
    /// - Throws: ``HardwareError`` when a step fails, naming the operator or the compiler's first error.
    public init(
        _ graph: Graph, parameters: [String: Literal] = [:], builder: Builder, timeLimit: Duration = .seconds(300)
    ) throws(HardwareError) {
        self.graph = graph
        program = try SourceProgram.program(of: graph, parameters: parameters, name: "network", target: builder.target)
        built = try builder.build(SourceProgram(program), as: .run)
        runner = ProgramRunner(for: builder.target, timeLimit: timeLimit)
    }

    /// Runs the program once on the target.
    ///
    /// - Shapes: those of the graph's inputs and outputs.
    /// - Throws: ``HardwareError`` when an input has another type than the graph's, or the program fails.
    public func run(_ inputs: [Literal]) throws(HardwareError) -> [Literal] {
        for (port, input) in zip(program.inputs, inputs) where port.type.plain != input.type {
            throw HardwareError(.programFailed, "input \(port.name): expected \(port.type), found \(input.type)")
        }
        let outputs = try runner.run(built, inputs: inputs.map(\.bytes))
        return zip(program.outputs, outputs).map { port, bytes in
            Literal(port.type.element, port.type.shape, bytes: bytes)
        }
    }
}

extension Profiler {
    /// The latency of each graph, in the same order: its own generated C, compiled and timed on the target.
    ///
    /// - Parameters:
    ///   - threads: How many cores each program may use.
    ///   - anew: Times every graph, also those that have a figure.
    /// - Throws: ``HardwareError`` when a graph cannot be deployed, compiled or run, or the target gives no latencies.
    public func latency(
        of graphs: [Graph], threads: Int = 1, anew: Bool = false
    ) throws(HardwareError) -> [LatencyMeasurement] {
        var programs: [SourceProgram] = []
        for graph in graphs { programs.append(try SourceProgram(timing: graph, on: builder.target)) }
        return try measure(programs, threads: threads, anew: anew)
    }
}
