import Foundation
import Search
import Spaces
import Testing
import Training

/// A whole run of every differentiable recipe in its toy configuration: seconds each.
@Suite(.serialized) struct GradientRunTests {
    private func toy(_ recipe: Recipe) throws -> SearchConfiguration {
        var configuration = try SearchConfiguration.preset("quick", for: recipe)
        if recipe.space == "proxyless-28" { configuration.space = "proxyless-micro" }
        configuration.limits.latency = 5
        return configuration
    }

    @Test(arguments: [Recipe.darts1, .darts2, .proxyless, .idarts, .prime(activation: true), .snas, .unas])
    func everyRecipeEndsWithAVerifiedNetworkWithinItsLimit(recipe: Recipe) throws {
        try withTemporaryFolder { path in
            let run = try SearchRun(toy(recipe), folder: path + "/run", cache: path + "/cache")
            let record = try run.execute()
            let winner = try #require(record.winner)
            #expect(record.algorithm == recipe.name)
            #expect(record.limits.allSatisfy { ($0.winner ?? .infinity) <= $0.limit })
            #expect(try #require(winner.onnxError) <= 1e-4)
            #expect(try #require(winner.cError) <= 1e-3)
            let space = try SpaceLibrary().space(record.space)
            #expect(try space.architecture(winner.text) == winner.architecture)
            let folder = run.folder
            for file in [folder.model, folder.c + "/model.c", folder.weights] {
                #expect(FileManager.default.fileExists(atPath: file), "\(file)")
            }
            let seen = try TrialLog(file: folder.trials).trials.compactMap(\.observation)
            #expect(seen.count >= 4)
            #expect(seen.allSatisfy { $0.validationLoss.isFinite && (0...1.001).contains($0.entropy) })
            #expect((seen.last?.expectedCost != nil) == (recipe.cost != nil))
            #expect((seen.last?.architectureSteps ?? 0) > 0)
            let page = try String(contentsOfFile: folder.report, encoding: .utf8)
            #expect(page.contains("The search over time"))
            #expect(!FileManager.default.fileExists(atPath: folder.checkpoints + "/retraining") || recipe != .snas)
        }
    }

    @Test func aStoppedSearchGoesOnToTheSameEnd() throws {
        try withTemporaryFolder { path in
            var configuration = try toy(.darts1)
            (configuration.latencySamples, configuration.limits.latency) = (0, nil)
            configuration.stopsBeforeRetraining = true
            let whole = try SearchRun(configuration, folder: path + "/whole", cache: path + "/cache")
            try whole.execute()
            let expected = try TrialLog(file: whole.folder.trials).trials
            let stop = Cancellation()
            let first = try SearchRun(configuration, folder: path + "/part", cache: path + "/cache")
            first.cancellation = stop
            #expect(throws: SearchError.self) {
                try first.execute { if $0.phase == "search", $0.done > 20 { stop.request() } }
            }
            let second = try SearchRun(resuming: path + "/part", cache: path + "/cache")
            try second.execute()
            let found = try TrialLog(file: second.folder.trials).trials
            #expect(found.map(\.architecture) == expected.map(\.architecture))
            #expect(found.map(\.observation) == expected.map(\.observation))
            #expect(found.map(\.accuracy) == expected.map(\.accuracy))
        }
    }

    @Test func anAlgorithmThatTheSpaceCannotServeIsRefusedBeforeAnythingIsWritten() throws {
        try withTemporaryFolder { path in
            var configuration = try toy(.darts1)
            configuration.space = "mbconv-28"
            let error = #expect(throws: SearchError.self) {
                try SearchRun(configuration, folder: path + "/run", cache: path + "/cache")
            }
            #expect(
                error?.description
                    == "darts1: the space mbconv-28 cannot be relaxed: 'stage1.width' decides a setting. Fix it, or search by paths"
            )
            #expect(!FileManager.default.fileExists(atPath: path + "/run"))
        }
    }
}
