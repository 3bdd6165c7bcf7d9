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
        discussion: """
            The last line of standard output is a JSON object with min_ms, median_ms and p95_ms; on a target that counts \
            instructions instead, with those of one inference.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var target: TargetOption
    @Option(help: "Seconds of measuring.") var seconds = 0.6
    @OptionGroup var schedule: ScheduleOptions
    @Flag(help: "Also print the time of each step, the least of all runs.") var perNode = false
    @Option(help: "Write the steps of one inference as a Chrome trace (with --per-node).") var trace: String?
    @OptionGroup var result: ResultOptions

    private struct Figures: Encodable {
        var minimum, median, p95: Double
        var runs: Int

        enum CodingKeys: String, CodingKey { case minimum = "min_ms", median = "median_ms", p95 = "p95_ms", runs }
    }

    func validate() throws {
        guard seconds > 0 else { throw ValidationError("--seconds expects a positive number, found \(seconds)") }
    }

    func run() throws {
        Interruption.watch()
        let progress = ProgressDisplay(isQuiet: result.output.quiet)
        defer { progress.end() }
        let target = try target.load()
        let bytes = model.fileSize
        progress.step("reading and optimising", seconds: bytes * 1e-7, then: 2 + bytes * 4e-8 + seconds)
        let graph = try schedule.scheduled(try model.graph(), for: target)
        if perNode || trace != nil {
            progress.step("compiling and timing", seconds: 2 + bytes * 4e-8 + seconds)
            let timing = try StepTimes(graph, name: model.name, target: target, seconds: seconds)
            if let trace { try Folders.write(timing.trace(), to: trace) }
            progress.end()
            return try print(timing.summary, after: timing.table())
        }
        let code = try CProgram(graph, options: COptions(name: model.name)), program = SourceProgram(code)
        let builder = try Builder(for: target, in: Folders.cache + "/builds")
        if target.figures == .instructions {
            let count = try Profiler(builder: builder).instructions(of: program)
            progress.end()
            return try print(
                "{\"instructions\": \(count)}", after: "\(model.name) on \(target.name): \(count) instructions")
        }
        var plan = MeasuringPlan()
        plan.rounds = 3
        plan.maximumRounds = 3
        plan.burst = .milliseconds(max(1, Int(seconds * 1e3 / 3)))
        plan.warmUp = .milliseconds(Int(min(50, seconds * 1e3 / 6)))
        let profiler = Profiler(builder: builder, plan: plan)
        progress.step("compiling the C", seconds: 0.5 + Double(code.sourceBytes) * 6e-6, then: seconds)
        _ = try profiler.builder.build(program, as: .bench)
        progress.step("timing", seconds: seconds)
        let figures = try profiler.measure([program], threads: schedule.threads, anew: true)[0]
        progress.end()
        try print(
            try JSONText.line(
                Figures(
                    minimum: figures.minimum, median: figures.median, p95: figures.p95, runs: figures.runs)),
            after: "\(model.name) on \(target.name): median \(Terminal.milliseconds(figures.median)), "
                + "least \(Terminal.milliseconds(figures.minimum)), \(figures.runs) runs"
        )
    }

    /// The object is the last line, and with `--json` the only one.
    private func print(_ object: String, after text: String) throws {
        let lines = result.output.json ? object : text + "\n" + object
        guard let file = result.file else { return try Terminal.output(lines) }
        try Folders.write(Data((lines + "\n").utf8), to: file)
    }
}

extension StepTimes {
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

    /// The steps in Chrome's trace format, one after another.
    func trace() throws -> Data {
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
        return try JSONSerialization.data(withJSONObject: ["traceEvents": events], options: [.sortedKeys])
    }
}
