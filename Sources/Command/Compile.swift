import ArgumentParser
import CodeGeneration
import Hardware
import IR
import Passes

/// `martlet compile`: an ONNX file as a folder of C.
struct Compile: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Writes a network as standalone C.")

    @OptionGroup var model: ModelOptions
    @Option(name: .shortAndLong, help: "The folder to make.") var output: String
    @Option(help: "The prefix of every C name; the file's name otherwise.") var name: String?
    @OptionGroup var target: TargetOption
    @OptionGroup var seed: SeedOption
    @Option(
        help: """
            Where the weights go: embed (binary, by the assembler; C text where the compiler has none), file (passed by \
            pointer), c (C text).
            """)
    var weights = COptions.Weights.embed
    @OptionGroup var schedule: ScheduleOptions
    @Option(
        help: ArgumentHelp(
            "Measure other schedules on the target for so long, and keep the faster ones where the gain is sure.",
            valueName: "seconds"))
    var tune: Double?
    @Flag(help: "Bracket every step with hooks for timing.") var profile = false
    @Flag(help: "Hand every intermediate value to a hook.") var dump = false
    @Flag(help: "Replace the folder if it exists.") var force = false
    @OptionGroup var printing: OutputOptions

    private struct Summary: Encodable {
        var folder: String
        var steps, sourceBytes, weightBytes, arenaBytes, macs: Int
    }

    func validate() throws {
        if let tune, !(tune > 0) { throw ValidationError("--tune expects a positive number of seconds, found \(tune)") }
    }

    private static func describe(_ record: TunedSchedule) -> String {
        let times = "\(Terminal.milliseconds(record.defaultMilliseconds)) by default"
        guard !record.changes.isEmpty else { return "tuned: the default schedule stays (\(times))" }
        return "tuned: \(record.changes.count) decisions changed, \(Terminal.milliseconds(record.tunedMilliseconds)) "
            + "against \(times)"
    }

    func run() throws {
        Interruption.watch()
        let progress = ProgressDisplay(isQuiet: printing.quiet)
        defer { progress.end() }
        let target = try target.load()
        let bytes = model.fileSize
        progress.step("reading", seconds: bytes * 3e-8, then: bytes * 2e-7)
        let graph = try model.graph()
        progress.step("optimising", seconds: bytes * 6e-8, then: bytes * 1.4e-7 + (tune ?? 0))
        let deployed: Graph
        if let tune {
            let plain = try schedule.deployed(graph, for: target)
            progress.step("measuring schedules", seconds: tune, then: bytes * 1.4e-7)
            let record = try schedule.tuner(for: target).tune(plain, for: .milliseconds(Int(tune * 1e3)))
            deployed = try record.applied(to: plain)
            progress.end()
            if !printing.quiet { Terminal.error(Self.describe(record)) }
        } else {
            deployed = try schedule.scheduled(graph, for: target)
        }
        var options = COptions(name: name ?? model.name)
        options.weights = weights
        options.profile = profile
        options.dump = dump
        let macs = try Cost(of: deployed).macs
        options.notes = [COptions.Note("target", self.target.target), COptions.Note("macs", "\(macs)")]
        progress.step("running a test vector", seconds: Reference.seconds(macs: macs), then: bytes * 4e-8)
        options.test = try Reference.testVector(for: graph, seed: seed.seed)
        progress.step("writing C", seconds: bytes * 4e-8)
        let program = try CProgram(deployed, options: options)
        try Folders.write(program.files(for: target), to: output, force: force)
        progress.end()
        if printing.json {
            try Terminal.output(
                JSONText.line(
                    Summary(
                        folder: output, steps: program.steps.count, sourceBytes: program.sourceBytes,
                        weightBytes: program.weightBytes, arenaBytes: program.arenaBytes, macs: macs)))
        }
        guard !printing.quiet else { return }
        Terminal.error(
            """
            \(output): \(program.steps.count) steps, \(program.sourceBytes) bytes of C, \(program.weightBytes) bytes of weights, \
            \(program.arenaBytes) bytes of arena
            try it: make -C \(output) check bench
            """)
    }
}

extension COptions.Weights: ExpressibleByArgument {}
