import ArgumentParser
import Foundation
import Hardware

/// What a command prints and where: the same words for every command.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print the result as one JSON object.") var json = false
    @Flag(help: "Print nothing but the result and errors: no progress, no summary.") var quiet = false
}

/// `-o` of the commands whose result is text.
struct ResultOptions: ParsableArguments {
    @OptionGroup var output: OutputOptions
    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: "Write the result into this file instead of standard output.")
    var file: String?

    /// Prints the text, or its JSON form with `--json`, or writes it into the file.
    func emit(_ text: @autoclosure () throws -> String, json: @autoclosure () throws -> any Encodable) throws {
        let result = output.json ? try JSONText.line(try json()) : try text()
        guard let file else { return try Terminal.output(result) }
        try Folders.write(Data((result + "\n").utf8), to: file)
    }
}

/// `--target` of every command that compiles.
struct TargetOption: ParsableArguments {
    @Option(help: "The device; 'martlet targets' lists them, a path reads a file.") var target = "host"

    func load() throws -> Hardware.Target { try TargetLibrary().target(target) }
}

/// `--seed` of every command that draws something.
struct SeedOption: ParsableArguments {
    @Option(help: "The seed of every random draw.") var seed: UInt64 = 1
}

/// `--threads` of every command that may use more than one.
struct ThreadsOption: ParsableArguments {
    @Option(help: "Threads of this machine to work with.") var threads = 2

    func validate() throws {
        guard threads > 0 else { throw ValidationError("--threads expects at least 1, found \(threads)") }
    }
}

/// Values as JSON on one line, keys sorted.
enum JSONText {
    static func line(_ value: any Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
