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
    @Option(help: "The device to write for; 'martlet targets' lists them.") var target = "host"
    @Option(help: "Where the weights go: embed (binary, by the assembler), file (passed by pointer), c (C text).")
    var weights = COptions.Weights.embed
    @Flag(help: "Leave out transforms that round differently from plain sums.") var exact = false
    @Flag(help: "Keep the portable body of every operator.") var portable = false
    @Flag(help: "Bracket every step with hooks for timing.") var profile = false
    @Flag(help: "Hand every intermediate value to a hook.") var dump = false
    @Flag(help: "Replace the folder if it exists.") var force = false
    @Flag(help: "Print no summary.") var quiet = false

    func run() throws {
        let graph = try model.graph()
        let deployed = try TargetLibrary().target(target).deployed(graph, exact: exact, portable: portable)
        var options = COptions(name: name ?? model.name)
        options.weights = weights
        options.profile = profile
        options.dump = dump
        options.notes = [COptions.Note("target", target), COptions.Note("macs", "\(try Cost(of: deployed).macs)")]
        options.test = try Reference.testVector(for: graph)
        let program = try CProgram(deployed, options: options)
        try Folders.write(program.files, to: output, force: force)
        guard !quiet else { return }
        Terminal.error(
            """
            \(output): \(program.steps.count) steps, \(program.sourceBytes) bytes of C, \(program.weightBytes) bytes of weights, \
            \(program.arenaBytes) bytes of arena
            try it: make -C \(output) check bench
            """)
    }
}

extension COptions.Weights: ExpressibleByArgument {}
