import ArgumentParser
import CodeGeneration
import Foundation
import Hardware
import IR
import Passes

/// `martlet bench`: the latency of the C that a network compiles to.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compiles a network for a target and times single inferences.",
        discussion: "The last line of standard output is a JSON object with min_ms, median_ms and p95_ms.")

    @OptionGroup var model: ModelOptions
    @Option(help: "The device to measure on; 'martlet targets' lists them.") var target = "host"
    @Option(help: "Threads of one inference.") var threads = 1
    @Option(help: "Seconds of measuring.") var seconds = 0.6
    @Flag(help: "Leave out transforms that round differently from plain sums.") var exact = false
    @Flag(help: "Keep the portable body of every operator.") var portable = false
    @Flag(help: "Print the JSON object alone.") var json = false
    @Flag(help: "Also print the time of each step.") var perNode = false
    @Option(help: "Write the steps of one inference as a Chrome trace (with --per-node).") var trace: String?

    func validate() throws {
        guard threads == 1 else {
            throw ValidationError("--threads: the generated C runs on one thread, found \(threads)")
        }
        guard seconds > 0 else { throw ValidationError("--seconds expects a positive number, found \(seconds)") }
    }

    func run() throws {
        let target = try TargetLibrary().target(target)
        let graph = try target.deployed(try model.graph(), exact: exact, portable: portable)
        let folder = Folders.cache + "/builds"
        if perNode || trace != nil {
            let timing = try StepTimes(graph, name: model.name, target: target, folder: folder, seconds: seconds)
            if !json { Terminal.output(timing.table()) }
            if let trace { try timing.writeTrace(to: trace) }
            Terminal.output(timing.summary)
            return
        }
        let program = SourceProgram(try CProgram(graph, options: COptions(name: model.name)))
        var plan = MeasuringPlan()
        plan.rounds = 3
        plan.maximumRounds = 3
        plan.burst = .milliseconds(max(1, Int(seconds * 1e3 / 3)))
        plan.warmUp = .milliseconds(Int(min(50, seconds * 1e3 / 6)))
        let profiler = Profiler(builder: try Builder(for: target, in: folder), plan: plan)
        let figures = try profiler.measure([program], threads: threads, anew: true)[0]
        if !json {
            Terminal.output(
                "\(model.name) on \(target.name): median \(ms(figures.median)), least \(ms(figures.minimum)), \(figures.runs) runs"
            )
        }
        Terminal.output(
            "{\"min_ms\": \(digits(figures.minimum)), \"median_ms\": \(digits(figures.median)), \"p95_ms\": \(digits(figures.p95)), \"runs\": \(figures.runs)}"
        )
    }

    private func ms(_ value: Double) -> String { String(format: "%.3f ms", value) }
    private func digits(_ value: Double) -> String { String(format: "%.6f", value) }
}

/// The time of each step of a program, from a build with hooks.
struct StepTimes {
    let program: CProgram
    let macs: [Int]
    let milliseconds: [Double]
    /// The JSON object of the whole.
    let summary: String

    init(_ graph: Graph, name: String, target: Target, folder: String, seconds: Double) throws {
        guard target.figures == .latency, case .local = target.runner else {
            throw Failure(.unsupported, "target \(target.name): steps are timed on this machine alone")
        }
        var options = COptions(name: name)
        options.profile = true
        let program = try CProgram(graph, options: options)
        let compiler = try target.compiler()
        let output = try Folders.withTemporary { folder in
            for file in program.files {
                try Data(file.contents).write(to: URL(fileURLWithPath: folder + "/" + file.name))
            }
            let sources = ["bench_main.c", program.name + ".c"]
            let built = try ChildProcess.run(
                [compiler.command] + Builder.standardFlags + compiler.flags + ["-I.", "-o", "bench"] + sources
                    + compiler.linkerFlags + ["-lm"], folder: folder)
            guard built.succeeded else {
                throw Failure(.badInput, "\(compiler.command) failed: \(built.firstErrorLine)")
            }
            let result = try ChildProcess.run(["./bench", "\(seconds)"], folder: folder)
            guard result.succeeded else { throw Failure(.badInput, "the program failed: \(result.firstErrorLine)") }
            return result.outputText
        }
        struct Step: Decodable { var step: Int, ms: Double }
        let lines = output.split(separator: "\n")
        var milliseconds = [Double](repeating: 0, count: program.steps.count)
        for line in lines.dropLast() {
            let step = try JSONDecoder().decode(Step.self, from: Data(line.utf8))
            milliseconds[step.step] = step.ms
        }
        self.program = program
        self.milliseconds = milliseconds
        macs = try program.steps.map { try graph.nodes[$0.node].macs(in: graph) }
        summary = lines.last.map(String.init) ?? "{}"
    }

    func table() -> String {
        let total = max(milliseconds.reduce(0, +), .leastNormalMagnitude)
        var rows = [["step", "ms", "%", "GFLOP/s", "operator", "result", "name"]]
        for (index, step) in program.steps.enumerated() {
            let time = milliseconds[index], rate = time > 0 ? 2e-6 * Double(macs[index]) / time : 0
            rows.append([
                "\(index)", String(format: "%.4f", time), String(format: "%.1f", 100 * time / total),
                macs[index] > 0 ? String(format: "%.1f", rate) : "", step.mnemonic,
                step.results.map(\.description).joined(separator: " "), step.name ?? "",
            ])
        }
        return Terminal.table(rows)
    }

    /// Writes the steps in Chrome's trace format, one after another.
    func writeTrace(to path: String) throws {
        var start = 0.0
        var events: [[String: Any]] = []
        for (index, step) in program.steps.enumerated() {
            let duration = milliseconds[index] * 1e3
            let arguments: [String: Any] = [
                "operator": step.mnemonic, "result": step.results.map(\.description).joined(separator: " "),
                "macs": macs[index],
            ]
            events.append([
                "name": step.name ?? step.mnemonic, "cat": step.mnemonic, "ph": "X", "ts": start, "dur": duration,
                "pid": 1, "tid": 1,
                "args": arguments,
            ])
            start += duration
        }
        let data = try JSONSerialization.data(withJSONObject: ["traceEvents": events], options: [.sortedKeys])
        do { try data.write(to: URL(fileURLWithPath: path)) } catch {
            throw Failure(.badInput, "\(path): cannot be written: \(error.localizedDescription)")
        }
    }
}
