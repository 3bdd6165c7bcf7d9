import Foundation
import Search
import Spaces
import Testing
import Training

/// Whole runs over a tiny space and few images: seconds each.
@Suite(.serialized) struct SearchRunTests {
    @Test func aRunEndsWithAVerifiedNetworkWithinItsLimits() throws {
        try withTemporaryFolder { path in
            var configuration = toy
            configuration.latencySamples = 5
            configuration.limits = .init(latency: 5, peakMemory: 512 * 1024, flash: 64 * 1024, macs: 2e6)
            let run = try SearchRun(configuration, folder: path + "/run", cache: path + "/cache")
            var phases: [String] = []
            let record = try run.execute { if phases.last != $0.phase { phases.append($0.phase) } }
            #expect(
                phases == [
                    "latency model", "supernet training", "evolution", "finalists", "retraining",
                    "export and verification",
                ])
            let winner = try #require(record.winner)
            #expect(record.limits.map(\.name) == ["latency", "peak-memory", "flash", "macs"])
            for limit in record.limits { #expect((limit.winner ?? .infinity) <= limit.limit, "\(limit)") }
            #expect(try #require(winner.onnxError) <= 1e-4)
            #expect(try #require(winner.cError) <= 1e-3)
            // Ten classes: a network that learned nothing gets 10 %.
            #expect(winner.testAccuracy > 0.3)
            let folder = run.folder
            for file in [
                folder.record, folder.trials, folder.paretoTable, folder.paretoDrawing, folder.report, folder.model,
                folder.weights, folder.c + "/model.c", folder.c + "/model.h", folder.c + "/Makefile",
            ] {
                #expect(FileManager.default.fileExists(atPath: file), "\(file)")
            }
            let trials = try TrialLog(file: folder.trials).trials
            #expect(trials.filter { $0.kind == .calibration }.count >= 5)
            #expect(trials.filter { $0.kind == .candidate }.allSatisfy { ($0.costs["macs"] ?? .infinity) <= 2e6 })
            #expect(trials.last?.kind == .winner)
        }
    }

    @Test func aStoppedRunGoesOnToTheSameEnd() throws {
        try withTemporaryFolder { path in
            let whole = try SearchRun(toy, folder: path + "/whole", cache: path + "/cache")
            try whole.execute()
            let expected = try TrialLog(file: whole.folder.trials).trials

            // Stopped while the supernet trains, during evolution, and while the winner is retrained.
            for (part, phase) in [("a", "supernet training"), ("b", "evolution"), ("c", "retraining")] {
                let stop = Cancellation()
                let first = try SearchRun(toy, folder: "\(path)/\(part)", cache: path + "/cache")
                first.cancellation = stop
                #expect(throws: (any Error).self) {
                    try first.execute { if $0.phase == phase, $0.done > 2 { stop.request() } }
                }
                let second = try SearchRun(resuming: "\(path)/\(part)", cache: path + "/cache")
                try second.execute()
                let found = try TrialLog(file: second.folder.trials).trials
                #expect(found.map(\.architecture) == expected.map(\.architecture), "\(part)")
                #expect(found.map(\.accuracy) == expected.map(\.accuracy), "\(part)")
                let weights = try Data(contentsOf: URL(filePath: second.folder.weights))
                #expect(try weights == Data(contentsOf: URL(filePath: whole.folder.weights)), "\(part)")
            }
        }
    }

    /// The record holds what the products of training were of, a resumed run keeps it, and it reaches the kernels; both kinds of
    /// training say how fast they are and how long they still take.
    @Test func thePrecisionIsTheRunsAndProgressTellsSpeedAndTimeLeft() throws {
        try withTemporaryFolder { path in
            var weights: Set<Data> = []
            for precision in [ExecutionSettings.Precision.f32, .bf16] {
                var configuration = toy
                configuration.trainingPrecision = precision
                (configuration.supernet.epochs, configuration.retraining.epochs) = (1, 1)
                let folder = "\(path)/\(precision.rawValue)"
                let run = try SearchRun(configuration, folder: folder, cache: path + "/cache")
                var reports: [SearchProgress] = []
                let record = try run.execute { reports.append($0) }
                #expect(record.configuration?.trainingPrecision == precision)
                let file = try Data(contentsOf: URL(filePath: run.folder.record))
                let stored = try #require(try JSONSerialization.jsonObject(with: file) as? [String: Any])
                let settings = try #require(stored["configuration"] as? [String: Any])
                #expect(settings["trainingPrecision"] as? String == precision.rawValue)
                for phase in ["supernet training", "retraining"] {
                    let found = reports.filter { $0.phase == phase && $0.text.contains("images/s") }
                    // How many there are before the last depends on the speed.
                    #expect(!found.isEmpty, "\(phase)")
                    for report in found.dropFirst() where report.done < report.total {
                        #expect(try #require(report.remaining) > 0)
                        // "…, 3100 images/s, …"
                        let words = report.text.split(separator: " ")
                        let at = try #require(words.firstIndex(of: "images/s,"))
                        #expect((Int(words[at - 1]) ?? 0) > 0, "\(report.text)")
                    }
                    #expect(found.last?.remaining == 0)
                }
                weights.insert(try Data(contentsOf: URL(filePath: run.folder.weights)))
                let again = try SearchRun(resuming: folder, cache: path + "/cache")
                #expect(again.configuration.trainingPrecision == precision)
            }
            // Rounded operands end elsewhere.
            #expect(weights.count == 2)
        }
    }

    @Test func limitsThatNothingMeetsEndTheRunBeforeTraining() throws {
        try withTemporaryFolder { path in
            var configuration = toy
            configuration.limits.macs = 1000
            let run = try SearchRun(configuration, folder: path + "/run", cache: path + "/cache")
            let error = #expect(throws: InfeasibleError.self) { try run.execute() }
            #expect(error?.figures.first?.name == "macs")
            #expect(error?.description.contains("no network of the space micro-125 is within 1000") == true)
            #expect(!FileManager.default.fileExists(atPath: run.folder.checkpoints + "/supernet"))
            configuration.limits = .init(latency: 1e-9)
            configuration.latencySamples = 4
            let slow = try SearchRun(configuration, folder: path + "/slow", cache: path + "/cache")
            let latency = #expect(throws: InfeasibleError.self) { try slow.execute() }
            #expect(latency?.figures.first?.name == "latency")
            #expect((latency?.figures.first?.cheapest ?? 0) > 1e-9)
        }
    }

    @Test func aRunThatCannotStartSaysWhyAndWritesNothing() throws {
        try withTemporaryFolder { path in
            var configuration = toy
            configuration.space = "mbconv-224"
            let channels = #expect(throws: SearchError.self) {
                try SearchRun(configuration, folder: path + "/run", cache: path + "/cache")
            }
            #expect(
                channels?.description == "the space mbconv-224 takes images of 3 channels, fashion-mnist has 1")
            configuration = toy
            configuration.target = "cortex-m9"
            #expect(throws: (any Error).self) {
                try SearchRun(configuration, folder: path + "/run", cache: path + "/cache")
            }
            let algorithm = #expect(throws: SearchError.self) { try Recipe.named("spas") }
            #expect(algorithm?.description.hasPrefix("unknown algorithm 'spas'; known: spos, darts1,") == true)
            #expect(!FileManager.default.fileExists(atPath: path + "/run"))
        }
    }

    private var toy: SearchConfiguration {
        var configuration = SearchConfiguration()
        configuration.space = "micro-125"
        configuration.validationImages = 58_000  // leaves 2,000 to train on
        configuration.supernet.epochs = 2
        configuration.supernet.batch = 64
        configuration.retraining.epochs = 3
        configuration.retraining.batch = 64
        configuration.retraining.rate = .cosine(from: 0.1)
        configuration.supernet.rate = .linear(from: 0.05)
        configuration.latencySamples = 0
        configuration.costBins = 1
        configuration.evolution.population = 6
        configuration.evolution.generations = 2
        configuration.evolution.mutants = 3
        configuration.evolution.crossovers = 2
        configuration.evolution.parents = 3
        configuration.recalibrationBatches = 2
        configuration.recalibrationBatch = 64
        configuration.candidateImages = 200
        configuration.finalists = 2
        return configuration
    }
}
