import Foundation
import Testing

/// Runs what README.md tells its readers to type.
///
/// Every command of its fenced blocks runs as it stands, with the changes that are listed here and no others. A change that
/// fits no command, a command of another program and a block of unknown kind are failures, so neither side can drift.
@Suite(.serialized) struct ReadmeTests {
    /// What is run in the place of what is written, and why.
    static let changes: [(written: String, run: String, why: String)] = [
        (
            "git clone … martlet && cd martlet",
            "git clone -q --no-hardlinks --depth 1 file://REPOSITORY martlet && cd martlet",
            "the address is the reader's"
        ),
        ("make demo", "make -n -C REPOSITORY demo", "takes minutes and installs packages; what it searches runs below"),
        ("make test", "make -n -C REPOSITORY test", "is what runs this test"),
        (
            "--latency 0.07ms", "--latency 50ms --preset quick",
            "the full search takes an hour, and a machine that is busy with other tests breaks tight limits"
        ),
    ]

    @Test func everyCommandRuns() throws {
        let shell = try Shell()
        try shell.writeModel(CommandTests.network)
        try FileManager.default.moveItem(atPath: shell.path("data"), toPath: shell.path("folder"))
        // The command as an installed one, and the repository's own makefile.
        try FileManager.default.createDirectory(atPath: shell.path("bin"), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: shell.path("bin/martlet"), withDestinationPath: Shell.command.path)
        let path = shell.path("bin") + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "")
        var used: Set<String> = []
        let commands = try Self.commands()
        #expect(commands.count >= 12)
        for written in commands {
            var command = written
            for change in Self.changes where command.contains(change.written) {
                command = command.replacing(change.written, with: change.run)
                used.insert(change.written)
            }
            command = command.replacing("REPOSITORY", with: Shell.repository.path)
            let isClone = command.hasPrefix("git ")
            if isClone, !FileManager.default.fileExists(atPath: Shell.repository.path + "/.git") { continue }
            let outcome = try shell.run(["sh", "-c", command], environment: ["PATH": path])
            #expect(outcome.status == 0, "\(command): \(outcome.errors)")
            // A dry run of the demonstration names the search; it runs here, sized down.
            if written == "make demo" {
                let search = try #require(outcome.output.split(separator: "\n").first { $0.contains("martlet search") })
                #expect(search.contains("--preset demo") && search.contains("-o runs/demo"))
                let quick = String(search).replacing("--preset demo", with: "--preset quick").replacing(
                    try Regex("--latency [^ ]*"), with: "--latency 50ms"
                ).replacing(try Regex("^[^ ]*martlet"), with: "martlet")
                let found = try shell.run(["sh", "-c", quick], environment: ["PATH": path])
                #expect(found.status == 0, "\(quick): \(found.errors)")
                for line in [
                    "network ", "latency: limit ", "latency: median ", "test accuracy ", "folder ", "run the C ",
                ] {
                    #expect(found.output.contains(line), "\(found.output)")
                }
            }
        }
        #expect(used == Set(Self.changes.map(\.written)))
        // What the search of the README left behind is what its table says.
        let left = try shell.names(in: "runs/first")
        #expect(["best", "checkpoints", "pareto.csv", "pareto.svg", "report.html", "run.json", "trials.jsonl"] == left)
        let resumed = try shell.run(["sh", "-c", "martlet search -o runs/first --resume"], environment: ["PATH": path])
        #expect(resumed.status == 0 && resumed.output.contains("test accuracy"), "\(resumed.errors)")
    }

    /// The lines of the README's blocks without a language, comments taken off.
    private static func commands() throws -> [String] {
        let text = try String(contentsOf: Shell.repository.appendingPathComponent("README.md"), encoding: .utf8)
        var commands: [String] = []
        var language: String?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                language = language == nil ? String(line.dropFirst(3)) : nil
                #expect(["", "c", "text", nil].contains(language), "a block of an unknown kind: \(line)")
            } else if language == "" {
                let command = (line.split(separator: " #", maxSplits: 1).first ?? "").trimmingCharacters(
                    in: .whitespaces)
                guard !command.isEmpty else { continue }
                let program = command.split(separator: " ")[0]
                #expect(["martlet", "make", "git"].contains(program), "an unknown command: \(line)")
                commands.append(command)
            }
        }
        return commands
    }
}
