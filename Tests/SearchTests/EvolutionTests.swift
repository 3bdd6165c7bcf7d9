import Foundation
import IR
import Search
import Spaces
import Testing

@Suite struct EvolutionTests {
    /// Thirty problems, each searched with a seed of its own: every candidate distinct and within the budget, on average at
    /// least 0.97 of the way to the exact optimum, each at least 0.93.
    @Test func evolutionComesCloseToTheExactOptimum() throws {
        let scores = try scores(of: 30, settings: .guided)
        #expect(SampleStatistics.mean(scores) >= 0.97, "\(scores)")
        #expect(scores.allSatisfy { $0 >= 0.93 && $0 <= 1 + 1e-9 }, "\(scores)")
    }

    /// With the published settings one search in twenty ends below 0.93 (docs/results.md has the distributions). The
    /// bounds for thirty follow from that.
    @Test func publishedEvolutionComesCloseAndBeatsRandomSearchOnEveryProblem() throws {
        let evolved = try scores(of: 30, settings: Evolution.Settings())
        let random = try (0..<30 as Range<UInt64>).map { seed in
            let problem = SyntheticRanking(seed: seed)
            var baseline = RandomSearch(alphabet: problem.alphabet, evaluations: 1000, random: RandomSource(seed: seed))
            return Scale(problem).normalized(try run(&baseline, problem, within: budget(of: problem)))
        }
        #expect(SampleStatistics.mean(evolved) >= 0.97, "\(evolved)")
        #expect(evolved.count { $0 < 0.93 } <= 4 && evolved.allSatisfy { $0 >= 0.85 && $0 <= 1 + 1e-9 }, "\(evolved)")
        #expect(zip(evolved, random).allSatisfy { $0 > $1 }, "\(random)")
        #expect(SampleStatistics.mean(random) < 0.75)
    }

    /// The distribution over many problems, for docs/results.md: `EVOLUTION_PROBLEMS=300 swift test --filter Evolution`.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["EVOLUTION_PROBLEMS"] != nil))
    func evolutionOverManyProblems() throws {
        let count = ProcessInfo.processInfo.environment["EVOLUTION_PROBLEMS"].flatMap { UInt64($0) } ?? 30
        for (name, settings) in [("published", Evolution.Settings()), ("guided", .guided)] {
            let scores = try scores(of: count, settings: settings)
            func share(below limit: Double) -> String { "\(scores.count { $0 < limit }) below \(limit)" }
            print(
                "\(name), \(count) problems: mean \(SampleStatistics.mean(scores)), median "
                    + "\(SampleStatistics.median(scores)), least \(scores.min() ?? 0); "
                    + [0.97, 0.95, 0.93, 0.9].map(share).joined(separator: ", "))
            #expect(SampleStatistics.mean(scores) >= 0.97)
        }
    }

    private func scores(of problems: UInt64, settings: Evolution.Settings) throws -> [Double] {
        try (0..<problems).map { seed in
            let problem = SyntheticRanking(seed: seed)
            return Scale(problem).normalized(try evolve(problem, settings: settings, seed: seed))
        }
    }

    /// 0 is the mean of legal architectures, 1 the optimum.
    private struct Scale {
        let mean, optimum: Double
        init(_ problem: SyntheticRanking) { (mean, optimum) = (problem.meanOfLegal(samples: 1000), problem.optimum()) }
        func normalized(_ score: Double) -> Double { (score - mean) / (optimum - mean) }
    }

    private func budget(of problem: SyntheticRanking) -> Constraints {
        Constraints([Constraint("cost", atMost: Double(problem.budget), .count, price: 0) { Double(problem.cost($0)) }])
    }

    private func evolve(
        _ problem: SyntheticRanking, settings: Evolution.Settings, seed: UInt64
    ) throws -> Double {
        var search = Evolution(alphabet: problem.alphabet, settings: settings, random: RandomSource(seed: seed))
        let found = try run(&search, problem, within: budget(of: problem))
        #expect(search.evaluated.count == 1000)
        #expect(Set(search.evaluated.map(\.architecture)).count == 1000)
        #expect(search.evaluated.allSatisfy { problem.cost($0.architecture) <= problem.budget })
        return found
    }

    @Test func theOptimumOfTheTestProblemIsExact() {
        // Small enough to enumerate: two layers are left free, the others take their cheapest operator.
        var problem = SyntheticRanking(seed: 3)
        for layer in 0..<20 where layer != 4 && layer != 5 {
            problem.costs[layer] = [1, 100, 100, 100]
        }
        problem.budget = 18 + 5
        var best = -Double.infinity
        for a in 0..<4 {
            for b in 0..<4 {
                var x = Architecture(choices: [Int](repeating: 0, count: 20))
                (x.choices[4], x.choices[5]) = (a, b)
                if problem.cost(x) <= problem.budget { best = max(best, problem.score(x)) }
            }
        }
        #expect(abs(problem.optimum() - best) < 1e-12)
    }

    @Test(arguments: [1, 49, 50, 137, 400]) func aStoredSearchGoesOnAsTheUnbrokenOne(stop: Int) throws {
        let problem = SyntheticRanking(seed: 5)
        let budget = budget(of: problem)
        var settings = Evolution.Settings.guided
        settings.generations = 9
        var whole = Evolution(alphabet: problem.alphabet, settings: settings, random: RandomSource(seed: 8))
        _ = try run(&whole, problem, within: budget)

        var first = Evolution(alphabet: problem.alphabet, settings: settings, random: RandomSource(seed: 8))
        while first.evaluated.count < stop, let x = try first.next(within: budget) {
            first.record(score: problem.score(x))
        }
        // Stored between a proposal and its score, the least convenient moment.
        _ = try first.next(within: budget)
        var second = try JSONDecoder().decode(Evolution.self, from: JSONEncoder().encode(first))
        _ = try run(&second, problem, within: budget)
        #expect(second.evaluated == whole.evaluated)
    }

    @Test func aSmallSpaceEndsTheSearchInsteadOfLooping() throws {
        var settings = Evolution.Settings()
        settings.triesPerRefill = 200
        var search = Evolution(alphabet: [2, 3], settings: settings, random: RandomSource(seed: 1))
        while let x = try search.next(within: Constraints([])) { search.record(score: Double(x[0] + x[1])) }
        #expect(search.evaluated.count == 6)
        #expect(search.best?.architecture.choices == [1, 2])
    }

    @Test func equalScoresKeepTheEarlierAndNotANumberIsWorst() throws {
        var search = RandomSearch(alphabet: [4, 4], evaluations: 10, random: RandomSource(seed: 2))
        while let x = try search.next(within: Constraints([])) {
            search.record(score: search.evaluated.count == 4 ? .nan : (x[0] == 0 ? 0 : 1))
        }
        #expect(search.best == search.evaluated.first { $0.score == 1 })
        #expect(search.top(10).last == search.evaluated[4])
        let restored = try JSONDecoder().decode(RandomSearch.self, from: JSONEncoder().encode(search))
        #expect(restored.evaluated == search.evaluated)
    }

    private func run(
        _ search: inout some Searcher, _ problem: SyntheticRanking, within budget: Constraints
    ) throws -> Double {
        while let x = try search.next(within: budget) { search.record(score: problem.score(x)) }
        return search.best?.score ?? -.infinity
    }
}
