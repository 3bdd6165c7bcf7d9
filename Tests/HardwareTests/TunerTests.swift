import CodeGeneration
import IR
import Operators
import Passes
import TestSupport
import Testing

@testable import Hardware

/// Schedules chosen by measuring.
@Suite(.serialized) struct TunerTests {
    let folder: TestFolder
    let target: Target

    init() throws {
        folder = try TestFolder()
        target = try TargetLibrary().target("host")
    }

    /// A network with every decision that can be tuned.
    private func graph(seed: UInt64 = 2) throws -> Graph {
        var random = RandomSource(seed: seed), g = GraphBuilder(name: "tunable")
        func constant(_ shape: Int...) -> Value {
            g.constant(Literal(.f32, shape, reals: (0..<shape.reduce(1, *)).map { _ in random.uniform() - 0.5 }))
        }
        var y = try g.append(Conv2D(kernel: 3), g.input("x", .f32(1, 16, 28, 28)), constant(32, 16, 3, 3))
        y = try g.append(Relu(), g.append(Conv2D(), y, constant(96, 32, 1, 1)))
        y = try g.append(Relu(), g.append(Conv2D(kernel: 3, groups: 96), y, constant(96, 1, 3, 3)))
        y = try g.append(Conv2D(), y, constant(32, 96, 1, 1))
        return g.finish(outputs: [y])
    }

    private func tuner(threads: Int = 1) throws -> Tuner {
        Tuner(
            profiler: Profiler(
                builder: try Builder(for: target, in: folder.path + "/builds"),
                database: try MeasurementDatabase(path: folder.path + "/measurements.sqlite")),
            threads: threads)
    }

    @Test func candidatesDifferInOneDecision() throws {
        let scheduled = try target.deployed(graph(), threads: 2)
        var decisions: Set<String> = []
        for (index, node) in scheduled.nodes.enumerated() {
            for candidate in scheduled.scheduleCandidates(ofNode: index) {
                let changed = candidate.decisions.filter { $0.value != node.schedule[$0.name] }
                #expect(changed.count == 1 && candidate.decisions.count == node.schedule.decisions.count)
                decisions.formUnion(changed.map(\.name))
                var other = scheduled
                other.setSchedule(candidate, ofNode: index)
                #expect(try Graph(parsing: other.description) == other)
                _ = try CProgram(other, options: COptions(name: "candidate"))
            }
        }
        #expect(decisions.isSuperset(of: ["winograd", "split"]))
        let exact = scheduled.nodes.indices.flatMap { scheduled.scheduleCandidates(ofNode: $0, exact: true) }
        #expect(
            exact.allSatisfy { candidate in
                scheduled.nodes.contains { $0.schedule["winograd"] == candidate["winograd"] }
            })
    }

    @Test func aSecondCompileReusesWhatWasMeasured() throws {
        let scheduled = try target.deployed(graph()), tuner = try tuner()
        #expect(try tuner.known(scheduled) == nil)
        let record = try tuner.tune(scheduled, for: .seconds(4))
        #expect(record.tunedMilliseconds <= record.defaultMilliseconds && record.tunedMilliseconds > 0)
        #expect(record.changes.isEmpty || Statistics.median(record.ratios) < tuner.programGain)
        // Another process finds it, for these threads alone.
        #expect(try self.tuner().known(scheduled) == record)
        #expect(try self.tuner(threads: 2).known(scheduled) == nil)
        let tuned = try record.applied(to: scheduled)
        #expect(try meaningDifference(scheduled, tuned) < 1e-12)
        #expect(tuned.nodes.count == scheduled.nodes.count)
        // Other weights are the same network to a schedule.
        #expect(try self.tuner().known(target.deployed(graph(seed: 3))) == record)
    }

    @Test func nothingGetsWorse() throws {
        var slow = try target.deployed(graph())
        for (index, node) in slow.nodes.enumerated() where node.schedule["winograd"] != nil {
            var schedule = node.schedule
            schedule["winograd"] = .integer(0)
            slow.setSchedule(schedule, ofNode: index)
        }
        let record = try tuner().tune(slow, for: .seconds(4))
        // Never worse than what it started from; a decision that it changed is one of that node.
        for change in record.changes { #expect(slow.nodes[change.node].schedule[change.decision] != nil) }
        #expect(record.tunedMilliseconds <= record.defaultMilliseconds)
    }

    @Test func aRecordOfAnotherGraphIsRefused() throws {
        let scheduled = try target.deployed(graph())
        let record = TunedSchedule(
            changes: [.init(node: 999, decision: "band", value: "7")], defaultMilliseconds: 1, tunedMilliseconds: 1,
            ratios: [1])
        let error = #expect(throws: HardwareError.self) { try record.applied(to: scheduled) }
        #expect(error?.message.contains("expected a decision 'band' at node 999, found none; tune again") == true)
    }

    @Test func stepsShareTheTime() throws {
        let times = try StepTimes(try target.deployed(graph()), name: "tunable", target: target, seconds: 0.05)
        #expect(times.milliseconds.count == times.program.steps.count && times.total > 0)
        #expect(abs(times.shares.reduce(0) { $0 + $1.share } - 1) < 1e-9)
        #expect(times.macs.contains { $0 > 0 })
    }
}
