public import CodeGeneration
import Foundation
public import IR
import Passes

/// The time of each step of a program, from a build with hooks around them.
public struct StepTimes: Sendable {
    public let program: CProgram
    public let macs: [Int]
    /// Of one inference, by step.
    public let milliseconds: [Double]
    /// The JSON object of the whole: min_ms, median_ms and p95_ms.
    public let summary: String

    /// Compiles the scheduled graph with hooks and runs it for some seconds.
    ///
    /// - Throws: ``HardwareError`` when the target's figures are no times of this machine, or the program does not compile
    ///   or run; ``ExportError`` when the graph cannot be written as C.
    public init(_ graph: Graph, name: String, target: Target, seconds: Double) throws {
        let bench = try StepBench(graph, name: name, target: target)
        let run = try bench.run(seconds: seconds)
        program = bench.program
        macs = try program.steps.map { try graph.nodes[$0.node].macs(in: graph) }
        milliseconds = run.milliseconds
        summary = run.summary
    }

    public var total: Double { milliseconds.reduce(0, +) }

    /// The operator of a step as reports name it, and the share of the whole that steps of the kind take, largest first.
    public var shares: [(kind: String, share: Double)] {
        var sums: [(kind: String, share: Double)] = []
        let total = max(total, .leastNormalMagnitude)
        for (step, time) in zip(program.steps, milliseconds) {
            if let at = sums.firstIndex(where: { $0.kind == step.mnemonic }) {
                sums[at].share += time / total
            } else {
                sums.append((step.mnemonic, time / total))
            }
        }
        return sums.sorted { $0.share > $1.share }
    }
}

/// A compiled program whose steps can be timed again and again; its folder goes when it goes.
final class StepBench {
    let program: CProgram
    private let scratch: ScratchFolder
    private let target: Target
    private let prefix: [String]

    init(_ graph: Graph, name: String, target: Target) throws {
        guard target.figures == .latency, case .local(let core) = target.runner else {
            throw HardwareError(
                .unsupported, "target \(target.name): steps are timed on this machine alone; use a target that is it")
        }
        var options = COptions(name: name)
        options.profile = true
        program = try CProgram(graph, options: options)
        self.target = target
        scratch = try ScratchFolder()
        for file in program.files { try scratch.write(file.contents, to: file.name) }
        let compiler = try target.compiler()
        let sources = ["bench_main.c", program.name + ".c"]
        let built = try Builder.run(
            [compiler.command] + Builder.standardFlags + compiler.flags + SourceProgram(program).flags
                + ["-I.", "-o", "bench"] + sources + compiler.linkerFlags + ["-lm"], as: "compiler", of: target,
            folder: scratch.path)
        guard built.succeeded else {
            throw HardwareError(.compilerFailed, "\(name): \(compiler.command) failed: \(built.firstErrorLine)")
        }
        let cores = NativeMachine.permittedCores().suffix(max(program.threads, 1))
        let chosen = program.threads == 1 ? [core ?? cores.last ?? 0] : Array(cores)
        prefix = ["taskset", "-c", chosen.map(String.init).joined(separator: ",")]
    }

    /// Times of the steps, in milliseconds, and the program's last line.
    func run(seconds: Double) throws -> (milliseconds: [Double], summary: String) {
        let result = try Builder.run(
            prefix + ["./bench", "\(seconds)"], as: "program", of: target, folder: scratch.path)
        guard result.succeeded else {
            throw HardwareError(.programFailed, "\(program.name): the program failed: \(result.firstErrorLine)")
        }
        struct Step: Decodable { var step: Int, ms: Double }
        let lines = result.outputText.split(separator: "\n")
        var milliseconds = [Double](repeating: 0, count: program.steps.count)
        for line in lines.dropLast() {
            let step = try JSONDecoder().decode(Step.self, from: Data(line.utf8))
            if milliseconds.indices.contains(step.step) { milliseconds[step.step] = step.ms }
        }
        return (milliseconds, lines.last.map(String.init) ?? "{}")
    }
}
