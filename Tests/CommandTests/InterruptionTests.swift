import Foundation
import Testing

/// Searches that are killed, interrupted, out of disk or damaged, each as a process of its own.
@Suite(.serialized) struct InterruptionTests {
    static let phases = [
        "latency model", "supernet training", "evolution", "finalists", "retraining", "export and verification",
    ]

    /// Killed with SIGKILL in every phase and between them, a run ends as the unbroken one, bit for bit.
    ///
    /// The killed run's test images are others than the unbroken run's: a search that saw any of them would differ too.
    @Test func aRunKilledAtAnyMomentEndsAsTheUnbrokenOne() throws {
        let shell = try Shell()
        try shell.writeImages()
        let whole = try shell.run(Shell.search(into: "whole"))
        #expect(whole.status == 0, "\(whole.errors)")
        let expected = try outcome(shell, "whole")

        try shell.writeImages(testSeed: 9)
        var kills = 0
        // Microseconds after a phase was announced; the first phase twice, to kill before the first checkpoint too.
        for (phase, delay) in zip([Self.phases[0]] + Self.phases, [0, 40_000, 150_000, 80_000, 0, 120_000, 20_000]) {
            let child = try shell.start(continuing(shell, "killed"))
            guard try child.waits(for: phase) else { break }
            usleep(UInt32(delay))
            kill(child.process.processIdentifier, SIGKILL)
            let ended = try child.wait()
            guard child.process.terminationReason == .uncaughtSignal else {
                #expect(ended.status == 0, "\(ended.errors)")
                break
            }
            kills += 1
        }
        #expect(kills >= 5)
        let last = try shell.run(continuing(shell, "killed"))
        #expect(last.status == 0, "\(last.errors)")
        let found = try outcome(shell, "killed")
        #expect(found.trials == expected.trials)
        #expect(found.weights == expected.weights)
        #expect(found.supernet == expected.supernet)
        #expect(found.testAccuracy != nil && expected.testAccuracy != nil)

        // A finished run that is resumed says again what it found, and changes nothing.
        let again = try shell.run([Shell.command.path, "search", "-o", "killed", "--resume", "--json"])
        #expect(again.status == 0 && again.output.contains("\"testAccuracy\""), "\(again.errors)")
        #expect(try outcome(shell, "killed").weights == expected.weights)
    }

    /// Ctrl-C while the compiler runs leaves nothing of the build behind.
    @Test func anInterruptedBuildLeavesNothing() throws {
        let shell = try Shell()
        try shell.writeModel(CommandTests.network)
        let script =
            "#!/bin/sh\ncase \"$*\" in *-dM*|*--version*|*-dump*) exec gcc \"$@\";; esac\necho > started\nexec sleep 5\n"
        let compiler = shell.path("slow-gcc")
        try script.replacingOccurrences(of: "> started", with: "> \(shell.path("started"))")
            .write(toFile: compiler, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: compiler)
        try """
        format: 1
        name: slow
        family: native
        description: a compiler that takes its time
        triple: native
        cpu: native
        compilers:
          gcc: {command: \(compiler)}
        vector: {bits: 128, registers: 16, fma: false}
        caches: {l1d: 32 KiB, l2: 512 KiB}
        runner: {kind: local}
        figures: latency
        packages: [gcc]
        source: made up
        """.write(toFile: shell.path("slow.yaml"), atomically: true, encoding: .utf8)
        try FileManager.default.createDirectory(atPath: shell.path("tmp"), withIntermediateDirectories: true)
        let child = try shell.start(
            [Shell.command.path, "verify", "model.onnx", "--data", "data", "--target", "slow.yaml"],
            environment: ["TMPDIR": shell.path("tmp")])
        for _ in 0..<400 where !FileManager.default.fileExists(atPath: shell.path("started")) { usleep(50_000) }
        #expect(try !shell.names(in: "tmp").isEmpty)
        kill(child.process.processIdentifier, SIGINT)
        let outcome = try child.wait()
        #expect(child.process.terminationReason == .uncaughtSignal, "\(outcome.errors)")
        #expect(child.process.terminationStatus == SIGINT)
        let left = try shell.names(in: "tmp")
        #expect(left.isEmpty, "\(left)")
    }

    /// Ctrl-C stores the run and says how to go on; so does a full disk, without the storing; a damaged checkpoint is
    /// refused and the one before it used. The run that went through all of that ends as the unbroken one.
    @Test func interruptsFullDisksAndDamageLoseNothing() throws {
        let shell = try Shell()
        try shell.writeImages()
        #expect(try shell.run(Shell.search(into: "whole")).status == 0)
        let expected = try outcome(shell, "whole")

        let child = try shell.start(Shell.search(into: "run"))
        #expect(try child.waits(for: "supernet training"))
        kill(child.process.processIdentifier, SIGINT)
        let stopped = try child.wait()
        #expect(stopped.status == 130 && child.process.terminationReason == .exit, "\(stopped.errors)")
        #expect(
            stopped.errors.hasSuffix("martlet: stopped; go on with: martlet search -o run --resume\n"),
            "\(stopped.errors)")
        #expect(!checkpoints(shell, "run/checkpoints/supernet").isEmpty)

        // Files of at most 16 KiB: the next checkpoint finds no room.
        let limited = "trap '' XFSZ; ulimit -f 32; exec \"$0\" search -o run --resume"
        let full = try shell.run(["sh", "-c", limited, Shell.command.path])
        #expect(full.status == 4, "\(full.errors)")
        #expect(full.errors.contains("no room is left on the disk"), "\(full.errors)")

        let second = try shell.start([Shell.command.path, "search", "-o", "run", "--resume"])
        #expect(try second.waits(for: "evolution"))
        kill(second.process.processIdentifier, SIGINT)
        #expect(try second.wait().status == 130)
        let states = checkpoints(shell, "run/checkpoints/state")
        #expect(states.count == 2)
        let latest = "run/checkpoints/state/\(states[states.count - 1])/search.json"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: shell.path(latest)))
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: shell.path(latest)))

        let last = try shell.run([Shell.command.path, "search", "-o", "run", "--resume"])
        #expect(last.status == 0, "\(last.errors)")
        #expect(
            last.errors.contains(
                "\(latest): its SHA-256 is not that of the manifest; going on from the checkpoint before"),
            "\(last.errors)")
        let found = try outcome(shell, "run")
        #expect(found.trials == expected.trials && found.weights == expected.weights)

        // With nothing whole left there is nothing to go on from.
        for state in checkpoints(shell, "run/checkpoints/state") {
            try Data("{}".utf8).write(
                to: URL(fileURLWithPath: shell.path("run/checkpoints/state/\(state)/search.json")))
        }
        let refused = try shell.run([Shell.command.path, "search", "-o", "run", "--resume"])
        #expect(refused.status == 4 && refused.errors.contains("search.json: expected "), "\(refused.errors)")
    }

    /// What a run found, without what depends on the clock.
    private struct Found {
        var trials: [String]
        var weights, supernet: Data
        var testAccuracy: Double?
    }

    private func outcome(_ shell: Shell, _ run: String) throws -> Found {
        func contents(_ name: String) throws -> Data {
            try Data(contentsOf: URL(fileURLWithPath: shell.path(run + "/" + name)))
        }
        let rows = String(decoding: try contents("trials.jsonl"), as: UTF8.self).split(separator: "\n")
        let trials = try rows.map { row in
            let fields = try JSONSerialization.jsonObject(with: Data(row.utf8)) as? [String: Any] ?? [:]
            // The winner's accuracy is that on test images.
            let isWinner = fields["kind"] as? String == "winner"
            return "\(fields["kind"] ?? "") \(fields["text"] ?? "") \(isWinner ? "" : fields["accuracy"] ?? "")"
        }
        let supernet = try #require(checkpoints(shell, run + "/checkpoints/supernet").last)
        let record = try JSONSerialization.jsonObject(with: contents("run.json")) as? [String: Any]
        return Found(
            trials: trials, weights: try contents("best/weights.safetensors"),
            supernet: try contents("checkpoints/supernet/\(supernet)/weights.safetensors"),
            testAccuracy: (record?["winner"] as? [String: Any])?["testAccuracy"] as? Double)
    }

    /// The checkpoints in a folder, the latest last.
    private func checkpoints(_ shell: Shell, _ folder: String) -> [String] {
        ((try? shell.names(in: folder)) ?? []).filter { $0.hasPrefix("step-") }
    }

    private func continuing(_ shell: Shell, _ run: String) -> [String] {
        FileManager.default.fileExists(atPath: shell.path(run + "/run.json"))
            ? [Shell.command.path, "search", "-o", run, "--resume"] : Shell.search(into: run)
    }
}
