import Foundation
import Testing

/// The command as a user meets it: what it prints where, what it leaves behind, how it ends.
@Suite(.serialized) struct CommandTests {
    static let network = """
        graph @network(%x: f32[1,2,6,6]) {
          %0 = constant [1.0, -2.0, 0.5, 0.25, 1.0, 3.0] : f32[3,2,1,1]
          %1 = constant [0.5, -0.5, 0.125] : f32[3]
          %2 = conv2d "conv" %x, %0, %1 : f32[1,3,6,6]
          %3 = relu "relu" %2 : f32[1,3,6,6]
          %4 = reduce_mean "mean" %3 {axes = [2, 3]} : f32[1,3]
          %5 = softmax "classes" %4 : f32[1,3]
          return %5
        }
        """

    @Test func verifyEndsByTheComparison() throws {
        let shell = try Shell()
        try shell.writeModel(Self.network)
        let equal = try shell.martlet("verify", "model.onnx", "--data", "data")
        #expect(equal.status == 0, "\(equal.errors)")
        #expect(equal.output.contains("equal"))
        let quiet = try shell.martlet("verify", "model.onnx", "--data", "data", "--quiet")
        #expect(quiet.status == 0 && quiet.output.isEmpty && quiet.errors.isEmpty, "\(quiet.errors)")

        try shell.writeModel(Self.network) { $0[1] += 0.01 }
        let different = try shell.martlet("verify", "model.onnx", "--data", "data", "--dump")
        #expect(different.status == 1)
        #expect(different.output.isEmpty)
        #expect(different.errors.contains("1 of 3 elements differ; worst at [0, 1]"), "\(different.errors)")
        #expect(different.errors.contains("every step agrees with its operator's definition"), "\(different.errors)")
    }

    @Test func faultsHaveTheirStatus() throws {
        let shell = try Shell()
        try shell.writeModel(Self.network)
        let missing = try shell.martlet("inspect", "nowhere.onnx")
        #expect(missing.status == 4)
        #expect(missing.errors.hasPrefix("martlet: nowhere.onnx: "), "\(missing.errors)")
        #expect(missing.errors.split(separator: "\n").count == 1)
        try Data([1, 2, 3]).write(to: shell.folder.appendingPathComponent("broken.onnx"))
        #expect(try shell.martlet("compile", "broken.onnx", "-o", "out").status == 4)
        #expect(try shell.martlet("bench", "model.onnx", "--target", "moon").status == 4)
        #expect(try shell.martlet("bench", "model.onnx", "--target", "aarch64-qemu").status == 3)
        #expect(try shell.martlet("inspect", "model.onnx", "--dim", "batch").status == 64)
        #expect(try shell.martlet("compile", "model.onnx").status == 64)
        #expect(try shell.martlet("dance").status == 64)
        #expect(try !shell.names().contains("out"))
    }

    @Test func algorithmsAreListedWithTheirAxesAndRefusedWhereTheyCannotServe() throws {
        let shell = try Shell()
        let list = try shell.martlet("algorithms")
        #expect(list.status == 0)
        for name in ["spos", "darts1", "darts2", "proxyless", "idarts", "prime", "snas", "unas"] {
            #expect(list.output.contains("\n\(name) "), "\(name)")
        }
        #expect(try shell.martlet("algorithms", "idarts").output.contains("Neumann series of 2 terms"))
        #expect(try shell.martlet("algorithms", "darts9").status == 4)
        let refused = try shell.martlet("search", "--algorithm", "prime-crb", "--space", "proxyless-micro", "-o", "run")
        #expect(refused.status == 4)
        #expect(
            refused.errors.hasPrefix("martlet: prime-crb: the space proxyless-micro has no cells"),
            "\(refused.errors)")
        #expect(try !shell.names().contains("run"))
    }

    @Test func compileLeavesAFolderThatChecksItself() throws {
        let shell = try Shell()
        try shell.writeModel(Self.network)
        let done = try shell.martlet("compile", "model.onnx", "-o", "out", "--name", "net")
        #expect(done.status == 0, "\(done.errors)")
        #expect(done.output.isEmpty)
        #expect(
            try shell.names(in: "out") == [
                "Makefile", "bench_main.c", "main.c", "net.c", "net.h", "net_test.bin", "net_weights.bin",
            ])
        let check = try shell.run(["make", "-s", "-C", "out", "check"])
        #expect(check.status == 0 && check.output.hasSuffix("ok\n"), "\(check.output)\(check.errors)")

        // A second run neither overwrites nor leaves anything behind.
        let before = try Data(contentsOf: shell.folder.appendingPathComponent("out/net.c"))
        let refused = try shell.martlet("compile", "model.onnx", "-o", "out", "--name", "other")
        #expect(refused.status == 4)
        #expect(refused.errors == "martlet: out: exists already; --force replaces it\n")
        #expect(try Data(contentsOf: shell.folder.appendingPathComponent("out/net.c")) == before)
        #expect(
            try shell.martlet(
                "compile", "model.onnx", "-o", "out", "--name", "other", "--weights", "c", "--force", "--quiet"
            ).status == 0)
        #expect(
            try shell.names(in: "out") == [
                "Makefile", "bench_main.c", "main.c", "other.c", "other.h", "other_test.bin",
            ])
        #expect(try shell.names().filter { $0 != "cache" } == ["data", "model.onnx", "out"])
    }

    @Test func benchEndsWithAnObject() throws {
        let shell = try Shell()
        try shell.writeModel(Self.network)
        for words in [["--json"], [], ["--per-node", "--trace", "trace.json"]] {
            let outcome = try shell.run([Shell.command.path, "bench", "model.onnx", "--seconds", "0.05"] + words)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let last = outcome.output.split(separator: "\n").last.map(String.init) ?? ""
            let figures = try JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Double]
            let least = try #require(figures?["min_ms"]), median = try #require(figures?["median_ms"]),
                high = try #require(figures?["p95_ms"])
            #expect(0 < least && least <= median && median <= high)
        }
        let trace = try Data(contentsOf: shell.folder.appendingPathComponent("trace.json"))
        let events = (try JSONSerialization.jsonObject(with: trace) as? [String: [[String: Any]]])?["traceEvents"]
        #expect(events?.contains { $0["name"] as? String == "conv" } == true)
    }

    @Test func inspectShowsGraphCostAndMemory() throws {
        let shell = try Shell()
        try shell.writeModel(Self.network)
        let outcome = try shell.martlet("inspect", "model.onnx", "--target", "cortex-m4", "--svg", "memory.svg")
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("\"conv\" %x"))
        #expect(outcome.output.contains(#/multiply-accumulates +216\n/#))
        #expect(outcome.output.contains("peak at node"))
        let drawing = try String(contentsOf: shell.folder.appendingPathComponent("memory.svg"), encoding: .utf8)
        #expect(drawing.hasPrefix("<svg") && drawing.contains("<rect"))
        let written = try shell.martlet("inspect", "model.onnx", "--as-written")
        #expect(written.output.contains(" = relu \"relu\""))
    }

    @Test func listsAreTables() throws {
        let shell = try Shell()
        let documented = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../docs/operators.md")
            .standardized
        let table = try shell.martlet("ops").output
        #expect(table.contains("| Conv | "))
        #expect(
            try String(contentsOf: documented, encoding: .utf8).hasSuffix(table),
            "docs/operators.md is out of date: put the output of 'martlet ops' behind its first paragraph")
        #expect(try shell.martlet("targets").output.contains("host"))
        #expect(try shell.martlet("spaces").output.contains("mbconv-28"))
        #expect(try shell.martlet("spaces", "nas-bench-201").output.contains("format"))
        #expect(try shell.martlet("spaces", "nowhere").status == 4)
    }
}
