import Foundation
import IR
import ONNXFormat
import Operators
import Testing

/// A command that runs.
struct Child {
    let process: Process
    let output, errors: URL

    func wait() throws -> Shell.Outcome {
        process.waitUntilExit()
        return Shell.Outcome(
            status: process.terminationStatus, output: try String(contentsOf: output, encoding: .utf8),
            errors: try String(contentsOf: errors, encoding: .utf8))
    }

    /// Waits until standard error holds the text, or the command has ended; whether it was found.
    func waits(for text: String) throws -> Bool {
        while true {
            let isRunning = process.isRunning
            if try String(contentsOf: errors, encoding: .utf8).contains(text) { return true }
            guard isRunning else { return false }
            usleep(5_000)
        }
    }
}

/// Runs the command in a temporary folder, as a user would.
final class Shell {
    struct Outcome {
        var status: Int32
        var output: String
        var errors: String
    }

    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-command-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// The command beside the test bundle.
    static var command: URL {
        URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("martlet")
    }

    /// Whether a program is on the path.
    static func has(_ program: String) -> Bool {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(program)")
        }
    }

    /// The repository that the tests belong to.
    static var repository: URL { URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardized }

    func martlet(_ arguments: String...) throws -> Outcome { try run([Self.command.path] + arguments) }

    func run(_ words: [String], environment: [String: String] = [:]) throws -> Outcome {
        try start(words, environment: environment).wait()
    }

    /// Starts a command and lets it run.
    func start(_ words: [String], environment extra: [String: String] = [:]) throws -> Child {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        process.currentDirectoryURL = folder
        var environment = ProcessInfo.processInfo.environment
        environment["XDG_CACHE_HOME"] = folder.appendingPathComponent("cache").path
        environment.merge(extra) { $1 }
        process.environment = environment
        // Files instead of pipes: neither stream can fill up while the other is read.
        children += 1
        let streams = try ["output", "errors"].map { name in
            let url = folder.appendingPathComponent(".\(name)-\(children)")
            _ = FileManager.default.createFile(atPath: url.path, contents: nil)
            return (url, try FileHandle(forWritingTo: url))
        }
        process.standardOutput = streams[0].1
        process.standardError = streams[1].1
        try process.run()
        return Child(process: process, output: streams[0].0, errors: streams[1].0)
    }
    private var children = 0

    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    func names(in name: String = ".") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path(name)).filter {
            !$0.hasPrefix(".output") && !$0.hasPrefix(".errors")
        }
        .sorted()
    }

    /// Writes `model.onnx` and a folder `data` with its inputs and the interpreter's outputs.
    func writeModel(_ text: String, withData: Bool = true, changing change: (inout [Double]) -> Void = { _ in }) throws
    {
        let graph = try Graph(parsing: text)
        try ONNXExporter.write(graph, to: path("model.onnx"))
        guard withData else { return }
        try FileManager.default.createDirectory(atPath: path("data"), withIntermediateDirectories: true)
        var random = RandomSource(seed: 7)
        let inputs = graph.types(of: graph.inputs).map { type in
            Literal(type.element, type.shape, reals: (0..<type.count).map { _ in random.uniform() * 2 - 1 })
        }
        let outputs = try Interpreter.run(graph, inputs: inputs.map { ReferenceTensor<Double>($0) }).map(\.literal)
        for (index, input) in inputs.enumerated() { try write(input, "data/input_\(index).pb") }
        for (index, output) in outputs.enumerated() {
            var values = output.reals
            change(&values)
            try write(Literal(output.element, output.shape, reals: values), "data/output_\(index).pb")
        }
    }

    /// A `TensorProto` with raw data.
    private func write(_ literal: Literal, _ name: String) throws {
        func varint(_ value: Int) -> [UInt8] {
            var bytes: [UInt8] = [], rest = value
            repeat {
                bytes.append(UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
                rest >>= 7
            } while rest > 0
            return bytes
        }
        var bytes: [UInt8] = []
        for size in literal.shape { bytes += [0x08] + varint(size) }
        bytes += [0x10] + varint(literal.element.onnxCode)
        bytes += [0x4a] + varint(literal.bytes.count) + literal.bytes
        try Data(bytes).write(to: folder.appendingPathComponent(name))
    }
}
