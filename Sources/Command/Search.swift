import ArgumentParser
import Dispatch
import Foundation
import Search
import Training

/// `martlet search`: from a data set, a device and limits to a trained network as ONNX and C.
struct SearchNetwork: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Finds, trains and exports a network that meets limits on a device.",
        discussion: """
            Limits combine: --latency 2ms --peak-memory 256KiB --flash 1MiB --macs 30M. The run's folder holds the report, \
            every trial, checkpoints, and the best network as ONNX and C. A run that was stopped goes on with --resume.
            """)

    @Option(help: "The search space; 'martlet spaces' lists them, a path reads a file. The algorithm's own by default.")
    var space: String?
    @Option(help: "The data set: fashion-mnist, mnist, cifar10 or cifar100.") var data = "fashion-mnist"
    @Option(help: "The folder of the data set's files, where it is not the usual one.") var dataFolder: String?
    @OptionGroup var target: TargetOption
    @Option(help: "The search algorithm; 'martlet algorithms' lists them.") var algorithm = "spos"

    @Option(help: ArgumentHelp("Most time of one inference, such as 2ms.", valueName: "time")) var latency:
        Quantity<TimeUnit>?
    @Option(help: ArgumentHelp("Most working memory, such as 256KiB.", valueName: "bytes")) var peakMemory:
        Quantity<ByteUnit>?
    @Option(help: ArgumentHelp("Most flash memory, weights and code together, such as 1MiB.", valueName: "bytes"))
    var flash: Quantity<ByteUnit>?
    @Option(help: ArgumentHelp("Most multiply-accumulates, such as 30M.", valueName: "count")) var macs:
        Quantity<CountUnit>?

    @Option(
        help:
            "How thorough: full, demo for minutes on two cores, or quick for a try of seconds that finds nothing good.")
    var preset = "full"
    @Option(help: "Passes over the training images for the supernet, or the search by gradient.") var supernetEpochs:
        Double?
    @Option(help: "Passes over the training images for the network that was found.") var epochs: Double?
    @OptionGroup var seed: SeedOption
    @OptionGroup var threads: ThreadsOption
    @Option(help: ArgumentHelp("Most memory of a training step's values, such as 2GiB.", valueName: "bytes"))
    var memory: Quantity<ByteUnit>?
    @Option(help: "What convolutions multiply in while networks are trained: f32, or bf16 for speed.")
    var precision: ExecutionSettings.Precision?
    @Option(name: .shortAndLong, help: "The folder of the run.") var output: String
    @Flag(help: "Replace the folder if it exists.") var force = false
    @Flag(help: "Go on with the run in the folder; every other setting is the run's own.") var resume = false
    @OptionGroup var printing: OutputOptions

    func validate() throws {
        for (name, value) in [("--epochs", epochs), ("--supernet-epochs", supernetEpochs)] {
            guard value.map({ $0 > 0 }) ?? true else { throw ValidationError("\(name) expects a positive number") }
        }
    }

    func run() throws {
        let run =
            resume
            ? try SearchRun(resuming: output, cache: Folders.cache)
            : try SearchRun(try settings(), folder: output, cache: Folders.cache, force: force)
        let cancellation = Cancellation()
        run.cancellation = cancellation
        // The first Ctrl-C lets the run store where it is; a second one, as ever, ends the process.
        signal(SIGINT, SIG_IGN)
        let interrupts = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        interrupts.setEventHandler {
            cancellation.request()
            signal(SIGINT, SIG_DFL)
        }
        interrupts.resume()
        let progress = ProgressDisplay(isQuiet: printing.quiet)
        let record: RunRecord
        do {
            record = try run.execute(
                progress: { progress.show($0) },
                warn: { warning in
                    progress.end()
                    Terminal.error("martlet: warning: \(warning)")
                })
        } catch {
            progress.end()
            if cancellation.isRequested { throw Failure(.interrupted, "stopped; go on with: \(resumption)") }
            throw error
        }
        progress.end()
        try summarize(record)
    }

    private func settings() throws -> SearchConfiguration {
        var settings = try SearchConfiguration.preset(preset, for: Recipe.named(algorithm))
        (settings.data, settings.dataFolder) = (data, dataFolder)
        if let space { settings.space = space }
        (settings.target, settings.seed, settings.threads) = (target.target, seed.seed, threads.threads)
        settings.limits = .init(
            latency: latency.map { $0.value * 1e3 }, peakMemory: peakMemory?.value, flash: flash?.value,
            macs: macs?.value)
        settings.trainingMemory = memory.map { Int($0.value) }
        settings.trainingPrecision = precision
        if let supernetEpochs { settings.supernet.epochs = supernetEpochs }
        if let epochs { settings.retraining.epochs = epochs }
        return settings
    }

    private var resumption: String { "martlet search -o \(output) --resume" }

    private func summarize(_ record: RunRecord) throws {
        if printing.json { return try Terminal.output(JSONText.line(record)) }
        guard let winner = record.winner else { return }
        var lines = ["network        \(winner.text)"]
        for limit in record.limits {
            let found = limit.winner.map { limit.unit.text($0) } ?? "-"
            lines.append("\(limit.name): limit \(limit.unit.text(limit.limit)), measured \(found)")
        }
        lines.append(
            String(
                format: "latency: median %.4f ms on %@, p95 %.4f ms", winner.latency, record.target, winner.latencyP95))
        lines.append(String(format: "test accuracy %.2f %%", winner.testAccuracy * 100))
        lines.append("folder         \(output) (report.html, best/model.onnx, best/c)")
        lines += record.howToRun.map { "run the C      \($0)" }
        try Terminal.output(lines.joined(separator: "\n"))
    }
}

extension ExecutionSettings.Precision: ExpressibleByArgument {}
