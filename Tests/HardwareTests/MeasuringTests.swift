import Foundation
import IR
import Operators
import Testing

@testable import Hardware

@Suite(.serialized) struct MeasuringTests {
    let folder: TestFolder
    let builder: Builder

    init() throws {
        folder = try TestFolder()
        builder = try Builder(for: try TargetLibrary().target("host"), in: folder.path + "/builds")
    }

    private var quick: MeasuringPlan {
        var plan = MeasuringPlan.quick
        plan.maximumRounds = 4
        plan.warmUp = .milliseconds(5)
        plan.burst = .milliseconds(20)
        return plan
    }

    @Test func statistics() {
        #expect(Statistics.median([3, 1, 2]) == 2)
        #expect(Statistics.median([4, 1, 2, 3]) == 2.5)
        #expect(Statistics.quantile(0.95, of: (1...100).map(Double.init)) == 95)
        #expect(Statistics.quantile(0.95, of: [1, 2]) == 2)
        #expect(Statistics.quantile(0, of: [1, 2]) == 1)
        #expect(Statistics.medianDeviation([1, 2, 3, 4, 100]) == 1)
    }

    @Test func moreWorkTakesLonger() throws {
        let programs = [1000, 4000, 16000].map { sampleProgram(repeats: $0) }
        let results = try Profiler(builder: builder, plan: quick).measure(programs)
        #expect(results.count == 3)
        for (less, more) in zip(results, results.dropFirst()) { #expect(more.minimum > 2 * less.minimum) }
        for result in results {
            #expect(result.minimum > 0)
            #expect(result.minimum <= result.median)
            #expect(result.minimum <= result.p95)
            #expect((3...4).contains(result.rounds.count))
            #expect(result.isStable == (result.spread <= quick.spreadLimit))
        }
    }

    @Test func shortProgramsAreBatched() throws {
        let built = try builder.build(sampleProgram(), as: .bench)
        let output = try ProgramRunner(for: builder.target).output(
            of: built, arguments: ["--warmup-ms", "2", "--time-ms", "5", "--min-runs", "3"])
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
        #expect(try #require(report["batch"] as? Int) > 10)
        let samples = try #require(report["samples_ms"] as? [Double])
        #expect(samples.count == report["runs"] as? Int)
        #expect(samples.first == report["min_ms"] as? Double)
        #expect(samples == samples.sorted())
    }

    @Test func nothingIsTimedTwice() throws {
        let database = try MeasurementDatabase(path: folder.path + "/deep/measurements.sqlite")
        let profiler = Profiler(builder: builder, plan: quick, database: database)
        let first = try profiler.measure([sampleProgram(repeats: 500), sampleProgram(repeats: 500)])
        #expect(first[0] == first[1])
        #expect(try database.count() == 1)
        let again = try Profiler(
            builder: builder, plan: quick, database: try MeasurementDatabase(path: database.path)
        ).measure([sampleProgram(repeats: 600), sampleProgram(repeats: 500)])
        #expect(again[1] == first[0])
        #expect(try database.count() == 2)
        // Other flags are another program, and a fresh figure is asked for by name.
        let slower = try Builder(for: builder.target, in: builder.folder, flags: ["-O1", "-std=gnu99"])
        _ = try Profiler(builder: slower, plan: quick, database: database).measure([sampleProgram(repeats: 500)])
        #expect(try database.count() == 3)
        let fresh = try profiler.measure([sampleProgram(repeats: 500)], anew: true)
        #expect(try database.count() == 4)
        #expect(try profiler.measure([sampleProgram(repeats: 500)]) == fresh)
    }

    @Test func aRunnerIsAnyCommand() throws {
        let script = try folder.file(
            "runner.sh",
            """
            echo noise
            echo '{"min_ms": 1.5, "median_ms": 2, "p95_ms": 4}'
            test -x "$1" && test $2 = --warmup-ms
            """
        )
        var target = builder.target
        target.runner = .command(["sh", script, "{program}", "{arguments}"])
        let commanded = try Builder(for: target, in: builder.folder)
        let result = try #require(try Profiler(builder: commanded, plan: quick).measure([sampleProgram()]).first)
        #expect(result.median == 2)
        #expect(result.minimum == 1.5)
        #expect(result.p95 == 4)
        target.runner = .command(["echo", "{program}"])
        let error = fault {
            _ = try Profiler(builder: try Builder(for: target, in: builder.folder), plan: quick).measure([
                sampleProgram()
            ])
        }
        #expect(error?.message.hasPrefix("target host: expected a last line of JSON with min_ms") == true)
    }

    @Test func anUnstableProgramIsRepeatedAndSaysSo() throws {
        let script = try folder.file(
            "drift.sh",
            """
            n=$(($(cat count 2>/dev/null || echo 0) + 1))
            echo $n > count
            printf '{"min_ms": %d, "median_ms": %d, "p95_ms": %d}\\n' $n $n $n
            """
        )
        var target = builder.target
        target.runner = .command(["sh", "-c", "cd \(folder.path) && sh \(script) {program}"])
        let result = try #require(
            try Profiler(builder: try Builder(for: target, in: builder.folder), plan: quick).measure([sampleProgram()])
                .first)
        #expect(result.rounds == [1, 2, 3, 4])
        #expect(!result.isStable)
        #expect(result.spread == 0.4)
    }

    /// A candidate is timed once, whatever its weights and its name; another structure is another candidate.
    @Test func graphsAreTimedByTheirOwnCode() throws {
        let database = try MeasurementDatabase(path: folder.path + "/graphs.sqlite")
        let profiler = Profiler(builder: builder, plan: quick, database: database)
        let graphs = [try SampleNetwork.mobile().graph, try SampleNetwork.plain().graph]
        let first = try profiler.latency(of: graphs)
        #expect(first.allSatisfy { $0.minimum > 0 && $0.median < 50 })
        #expect(try database.count() == 2)
        #expect(try profiler.latency(of: graphs.reversed()) == first.reversed())
        #expect(try database.count() == 2)
    }

    @Test func aGraphThatCannotBeDeployed() throws {
        var g = GraphBuilder(name: "training")
        let x = g.input("x", .f32(2, 3))
        let y = try g.append(Dropout(rate: 0.5, site: 0), x, g.input("key", TensorType(.u32, [2])))
        let graph = g.finish(outputs: [y])
        let error = fault { _ = try Profiler(builder: builder, plan: quick).latency(of: [graph]) }
        #expect(error?.code == .unsupported)
        #expect(error?.message.hasPrefix("graph training: cannot be deployed: ") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("dropout") == true)
    }

    @Test func oneTimerAtATime() throws {
        let first = try TimerLock(named: "a b/c", in: folder.path, patience: .zero)
        let error = fault { _ = try TimerLock(named: "a b/c", in: folder.path, patience: .milliseconds(50)) }
        #expect(error?.code == .timedOut)
        #expect(
            error?.message.hasSuffix(
                "martlet-timer-a-b-c.lock: another process has been measuring for over 0.05 seconds") == true)
        _ = try TimerLock(named: "another device", in: folder.path, patience: .zero)
        withExtendedLifetime(first) {}
    }

    @Test func coresAreChecked() throws {
        var target = builder.target
        target.runner = .local(core: 4000)
        let pinned = try Builder(for: target, in: builder.folder)
        #expect(
            fault { _ = try Profiler(builder: pinned, plan: quick).measure([sampleProgram()]) }?.code == .unsupported)
        #expect(
            fault { _ = try Profiler(builder: builder, plan: quick).measure([sampleProgram()], threads: 5000) }?.code
                == .unsupported)
    }
}

@Suite struct MeasurementDatabaseTests {
    let folder: TestFolder
    let key = MeasurementKey(program: "p", target: "host", compiler: "gcc", machine: "m")

    init() throws { folder = try TestFolder() }

    private func measurement(_ median: Double) throws -> LatencyMeasurement {
        let text = """
            {"minimum": 0.1, "median": \(median), "p95": 3, "spread": 0.01,
             "rounds": [0.1, 0.30000000000000004], "runs": 7, "isStable": true}
            """
        return try JSONDecoder().decode(LatencyMeasurement.self, from: Data(text.utf8))
    }

    @Test func rowsComeBackExactly() throws {
        let database = try MeasurementDatabase(path: folder.path + "/m.sqlite")
        #expect(try database.measurement(for: key) == nil)
        try database.record(try measurement(0.2), for: key)
        try database.record(try measurement(1.0 / 3), for: key)
        #expect(try MeasurementDatabase(path: database.path).measurement(for: key) == measurement(1.0 / 3))
        for other in [
            MeasurementKey(program: "q", target: "host", compiler: "gcc", machine: "m"),
            MeasurementKey(program: "p", target: "other", compiler: "gcc", machine: "m"),
            MeasurementKey(program: "p", target: "host", compiler: "clang", machine: "m"),
            MeasurementKey(program: "p", target: "host", compiler: "gcc", machine: "n"),
            MeasurementKey(program: "p", target: "host", compiler: "gcc", machine: "m", threads: 2),
        ] {
            #expect(try database.measurement(for: other) == nil)
        }
    }

    @Test func aDamagedFileIsRefused() throws {
        let path = try folder.file("m.sqlite", String(repeating: "not a database ", count: 500))
        let error = fault { _ = try MeasurementDatabase(path: path) }
        #expect(error?.code == .database)
        #expect(error?.message.hasPrefix("\(path): the measurements are damaged") == true)
        #expect(error?.message.hasSuffix("move the file away to start anew") == true)
    }

    @Test func aNewerFileIsRefused() throws {
        let database = try MeasurementDatabase(path: folder.path + "/m.sqlite")
        // The version is the big-endian word at offset 60 of an SQLite file.
        let file = try #require(FileHandle(forUpdatingAtPath: database.path))
        try file.seek(toOffset: 60)
        try file.write(contentsOf: Data([0, 0, 0, 9]))
        try file.close()
        let error = fault { _ = try MeasurementDatabase(path: database.path) }
        #expect(error?.message.contains("expected measurements of version 2, found 9") == true)
    }

    @Test func aLockedFileIsReportedAndMeasuringGoesOn() throws {
        let path = folder.path + "/m.sqlite"
        let database = try MeasurementDatabase(path: path, patience: .milliseconds(50))
        let holder = try RawLock(path)
        defer { holder.release() }
        let error = fault { try database.record(try measurement(1), for: key) }
        #expect(
            error?.message == "\(path): the measurements are locked by another process; try again when it has ended")

        let warnings = Warnings()
        let builder = try Builder(for: try TargetLibrary().target("host"), in: folder.path + "/builds")
        var plan = MeasuringPlan.quick
        plan.burst = .milliseconds(5)
        let profiler = Profiler(builder: builder, plan: plan, database: database) { warnings.add($0) }
        #expect(try profiler.measure([sampleProgram()])[0].median > 0)
        #expect(warnings.texts.contains { $0.contains("locked by another process") })
    }

    @Test func aPathThatIsAFolder() throws {
        let error = fault { _ = try MeasurementDatabase(path: folder.path) }
        #expect(error?.code == .database)
    }

    @Test func severalWritersAtOnce() async throws {
        let path = folder.path + "/m.sqlite"
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    let database = try MeasurementDatabase(path: path)
                    for index in 0..<25 {
                        let key = MeasurementKey(
                            program: "\(writer)-\(index)", target: "t", compiler: "c", machine: "m")
                        try database.record(try measurement(1), for: key)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try MeasurementDatabase(path: path).count() == 100)
    }
}

/// Messages that a profiler passed on.
private final class Warnings: Sendable {
    private let lock = NSLock()
    nonisolated(unsafe) private var kept: [String] = []  // only touched under the lock

    var texts: [String] { lock.withLock { kept } }

    func add(_ text: String) { lock.withLock { kept.append(text) } }
}

/// Another process's lock on an SQLite file: a reader's or writer's byte range, held by a helper process.
private struct RawLock {
    private let process = Process()
    private let output = Pipe()

    init(_ path: String) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/perl")
        process.arguments = [
            "-e",
            """
            use Fcntl; open(F, '+<', $ARGV[0]) or die; binmode(STDOUT); $| = 1;
            my $lock = pack('s s x4 q q i x4', F_WRLCK, 0, 0x40000000, 600, 0);
            fcntl(F, F_SETLK, $lock) or die "lock: $!";
            print "held\\n"; sleep 60;
            """, path,
        ]
        process.standardOutput = output
        try process.run()
        _ = output.fileHandleForReading.availableData
    }

    func release() {
        // A test's thread may block the gentler signals, and children inherit that.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
