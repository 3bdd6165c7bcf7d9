import Foundation
import Testing

/// Options mean the same for every command, and results go where they are sent.
@Suite(.serialized) struct OptionTests {
    static let commands = ["search", "compile", "bench", "verify", "inspect", "ops", "targets", "spaces", "algorithms"]

    @Test(arguments: commands) func commonOptionsAreThere(command: String) throws {
        let shell = try Shell()
        let help = try shell.martlet(command, "--help").output.split(separator: "\n").map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        func has(_ option: String) -> Bool { help.contains { $0.hasPrefix(option + " ") || $0 == option } }
        #expect(has("--json") && has("--quiet"), "\(help)")
        #expect(has("-o, --output <output>") || has("-o, --output <file>") || has("-o, --output <path>"), "\(help)")
        let compiles = ["search", "compile", "bench", "verify", "inspect"].contains(command)
        #expect(has("--target <target>") == compiles)
        #expect(has("--seed <seed>") == ["search", "compile"].contains(command))
        #expect(has("--threads <threads>") == ["search", "compile", "bench"].contains(command))
        let wrong = try shell.run([Shell.command.path, command, "--sedd", "1"])
        #expect(wrong.status == 64 && wrong.errors.hasPrefix("Error: "), "\(wrong.errors)")
    }

    @Test func resultsAreJSONAndGoWhereTheyAreSent() throws {
        let shell = try Shell()
        try shell.writeModel(CommandTests.network)
        let runs = [
            ["ops"], ["targets"], ["spaces"], ["spaces", "mbconv-28"], ["algorithms"], ["algorithms", "darts1"],
            ["inspect", "model.onnx"],
            ["verify", "model.onnx", "--data", "data"], ["bench", "model.onnx", "--seconds", "0.05"],
        ]
        for words in runs {
            let printed = try shell.run([Shell.command.path] + words + ["--json", "--quiet"])
            #expect(printed.status == 0 && printed.errors.isEmpty, "\(words): \(printed.errors)")
            #expect(printed.output.split(separator: "\n").count == 1, "\(printed.output)")
            #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(printed.output.utf8)) }
            let file = try shell.run([Shell.command.path] + words + ["--json", "--quiet", "-o", "result.json"])
            #expect(file.status == 0 && file.output.isEmpty, "\(words): \(file.errors)")
            let written = try String(contentsOfFile: shell.path("result.json"), encoding: .utf8)
            if words[0] != "bench" { #expect(written == printed.output) }
            #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(written.utf8)) }
        }
        let compiled = try shell.martlet("compile", "model.onnx", "-o", "out", "--json", "--quiet")
        let summary = try JSONSerialization.jsonObject(with: Data(compiled.output.utf8)) as? [String: Any]
        #expect(compiled.errors.isEmpty && summary?["folder"] as? String == "out" && summary?["macs"] as? Int == 216)
    }

    @Test func theSeedDrawsTheTestVector() throws {
        let shell = try Shell()
        try shell.writeModel(CommandTests.network)
        func vector(_ folder: String, _ options: String...) throws -> Data {
            let words = [Shell.command.path, "compile", "model.onnx", "-o", folder, "--name", "net", "--quiet"]
            #expect(try shell.run(words + options).status == 0)
            return try Data(contentsOf: URL(fileURLWithPath: shell.path(folder + "/net_test.bin")))
        }
        let first = try vector("a")
        #expect(try vector("b", "--seed", "1") == first)
        #expect(try vector("c", "--seed", "2") != first)
    }

    /// A bar with the time left on a terminal; lines without control characters elsewhere; nothing with `--quiet`.
    @Test func progressSuitsWhoReadsIt() throws {
        let shell = try Shell()
        // Large enough that measuring takes its seconds.
        let weights = (0..<9216).map { "\($0 % 7 - 3).0" }.joined(separator: ", ")
        try shell.writeModel(
            """
            graph @network(%x: f32[1,32,96,96]) {
              %0 = constant [\(weights)] : f32[32,32,3,3]
              %1 = conv2d "conv" %x, %0 {padding = [1, 1, 1, 1]} : f32[1,32,96,96]
              return %1
            }
            """, withData: false)
        let bench = [Shell.command.path, "bench", "model.onnx", "--seconds", "4"]
        let line = try shell.run(bench)
        #expect(line.errors.contains(" s left\n") && !line.errors.contains("\u{1B}"), "\(line.errors)")
        #expect(try shell.run(bench + ["--quiet"]).errors.isEmpty)
        let terminal = try shell.run(["script", "-qec", bench.joined(separator: " "), "/dev/null"])
        #expect(terminal.status == 0)
        #expect(terminal.output.contains("timing [##") && terminal.output.contains(" s left"), "\(terminal.output)")
    }

    @Test func thePrecisionOfTrainingIsRecorded() throws {
        let shell = try Shell()
        try shell.writeImages()
        let search = try shell.run(Shell.search(into: "run") + ["--precision", "bf16"])
        #expect(search.status == 0 && search.errors.contains(" images/s"), "\(search.errors)")
        let record = try Data(contentsOf: URL(fileURLWithPath: shell.path("run/run.json")))
        let stored = try JSONSerialization.jsonObject(with: record) as? [String: Any]
        let settings = try #require(stored?["configuration"] as? [String: Any])
        #expect(settings["trainingPrecision"] as? String == "bf16")
    }

    @Test func statusesAreThoseOfTheManual() throws {
        let shell = try Shell()
        try shell.writeModel(CommandTests.network) { $0[0] += 1 }
        #expect(try shell.martlet("inspect", "model.onnx").status == 0)
        #expect(try shell.martlet("verify", "model.onnx", "--data", "data").status == 1)
        let missing = try shell.martlet("verify", "model.onnx", "--data", "nowhere", "--quiet")
        #expect(missing.status == 4 && missing.errors == "martlet: nowhere: there is no such folder\n")
        let emulated = try shell.martlet("bench", "model.onnx", "--target", "aarch64-qemu")
        #expect(emulated.status == 3 && emulated.errors.contains("its runner gives correctness, no latency"))
        #expect(try shell.martlet("inspect", "nowhere.onnx").status == 4)
        #expect(try shell.martlet("bench", "model.onnx", "--threads", "0").status == 64)
        #expect(try shell.martlet("search", "-o", "run", "--latency", "2 moons").status == 64)
        #expect(try shell.martlet("search", "-o", "run", "--threads", "0").status == 64)
        for wrong in ["bf17", "f16", "BF16", ""] {
            let refused = try shell.martlet("search", "-o", "run", "--precision", wrong)
            #expect(refused.status == 64 && refused.errors.contains("--precision"), "\(refused.errors)")
            #expect(refused.errors.contains("f32") && refused.errors.contains("bf16"), "\(refused.errors)")
        }
        #expect(!FileManager.default.fileExists(atPath: shell.path("run")))
        // Status 5 is tested with the limits that nothing meets.
    }
}
