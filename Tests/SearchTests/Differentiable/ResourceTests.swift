import Execution
import Foundation
import Hardware
import IR
import RealModule
import Spaces
import Testing
import Training

@testable import Search

/// A chain of choices whose cost jumps when two of them meet: what a sum over choices cannot say.
private struct SteppedCost {
    let sites = 8, operators = 4, jump = 8.0, weight = 2.0
    let scores: [[Double]]
    let costs: [[Double]]
    let pair: (sites: (Int, Int), operators: (Int, Int))
    let surrogate: AdditiveCost
    let target: Double

    init(seed: UInt64) throws {
        var random = RandomSource(seed: seed).fork("stepped cost")
        let (sites, operators, jump) = (sites, operators, jump)
        var scores = (0..<sites).map { _ in (0..<operators).map { _ in random.normal() } }
        let costs = (0..<sites).map { _ in (0..<operators).map { _ in Double(1 + random.integer(below: 4)) } }
        let first = random.integer(below: sites)
        let second = (first + 1 + random.integer(below: sites - 1)) % sites
        let best = (argmax(scores[first]), argmax(scores[second]))
        // The two are tempting, each by itself.
        scores[first][best.0] += 0.5
        scores[second][best.1] += 0.5
        func cost(_ x: [Int]) -> Double {
            zip(costs, x).reduce(0) { $0 + $1.0[$1.1] } + (x[first] == best.0 && x[second] == best.1 ? jump : 0)
        }
        let samples = (0..<500).map { _ in (0..<sites).map { _ in random.integer(below: operators) } }
        let features = samples.map { $0.flatMap { choice in (0..<operators).map { $0 == choice ? 1.0 : 0 } } }
        let model = try LinearModel(
            features: features, values: samples.map(cost), ridge: 1, intercept: .regularised)
        surrogate = AdditiveCost(
            fixed: model.intercept,
            table: (0..<sites).map { Array(model.weights[($0 * operators)..<(($0 + 1) * operators)]) })
        target = SampleStatistics.mean(samples.map(cost))
        (self.scores, self.costs, pair) = (scores, costs, ((first, second), best))
    }

    func cost(_ x: [Int]) -> Double {
        let meets = x[pair.sites.0] == pair.operators.0 && x[pair.sites.1] == pair.operators.1
        return zip(costs, x).reduce(meets ? jump : 0) { $0 + $1.0[$1.1] }
    }

    /// What the surrogate makes of a mixture, and its gradient.
    func relaxed(_ m: [[Double]]) -> (value: Double, gradient: [[Double]]) {
        let loss = zip(scores, m).reduce(0) { $0 - zip($1.0, $1.1).reduce(0) { $0 + $1.0 * $1.1 } }
        let term = CostForm.hinge(target: target, weight: weight)(loss: loss, cost: surrogate(m))
        return (term.value, zip(scores, surrogate.table).map { zip($0, $1).map { term.byCost * $1 - $0 } })
    }

    /// Where 2000 steps lead: by the score function of the true cost, whose control variate is the surrogate's, or by the
    /// surrogate's expectation alone.
    func search(estimated: Bool, seed: UInt64) throws -> [Int] {
        let store = ParameterStore()
        for site in 0..<sites {
            try store.add("\(site)", shape: [operators]) { [Float](repeating: 0, count: operators) }
        }
        var random = RandomSource(seed: seed).fork("draws")
        for _ in 0..<2000 {
            let logits = store.tensors.map { $0.values.map(Double.init) }
            let gradients: [[Double]]
            if estimated {
                let draws = logits.map { row in
                    ConcreteDraw(
                        logits: row, tau: 0.4,
                        noise: row.map { _ in min(max(random.uniformOpen(), 1e-3), 1 - 1e-3) })
                }
                let z = draws.map(\.z), soft = relaxed(draws.map(\.zeta))
                let loss = zip(scores, z).reduce(0) { $0 - $1.0[$1.1] }
                let hard = CostForm.hinge(target: target, weight: weight)(loss: loss, cost: cost(z)).value
                gradients = zip(draws, soft.gradient).map {
                    ScoreFunction.rebar.gradient($0, hard: hard, soft: (soft.value, $1))
                }
            } else {
                let soft = relaxed(logits.map(softmax))
                gradients = zip(logits, soft.gradient).map { Categorical(logits: $0).pullback($1) }
            }
            for (tensor, gradient) in zip(store.tensors, gradients) {
                gradient.map { Float($0) }.withUnsafeBufferPointer { buffer in
                    Adam().update(tensor, gradient: buffer.baseAddress!, rate: 0.02, scale: 1)
                }
            }
        }
        return store.tensors.map { argmax($0.values.map(Double.init)) }
    }
}

@Suite struct ResourceTests {
    /// A cost without a gradient is met, where a linear model of it alone overlooks its step.
    @Test func aStepInTheCostIsSeenByTheScoreFunctionAlone() throws {
        var found = 0, overlooked = 0
        for seed in 1...10 as ClosedRange<UInt64> {
            let problem = try SteppedCost(seed: seed)
            if problem.cost(try problem.search(estimated: true, seed: seed)) <= problem.target { found += 1 }
            if problem.cost(try problem.search(estimated: false, seed: seed)) > problem.target { overlooked += 1 }
        }
        #expect(found >= 9, "\(found) of 10 within the limit")
        #expect(overlooked > 10 - found, "the linear model alone: \(overlooked) of 10 beyond the limit")
    }

    /// The surrogate of the published latencies: ridge 1, intercept as well, over the choices alone.
    @Test func theSurrogatePredictsNetworksItHasNotSeen() throws {
        let file = URL(filePath: #filePath).appending(path: "../../../../docs/micro-125.jsonl").standardized
        struct Row: Decodable {
            var architecture: Architecture
            var latency: Double?
        }
        var latencies: [Architecture: Double] = [:]
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
            let row = try JSONDecoder().decode(Row.self, from: Data(line.utf8))
            latencies[row.architecture] = row.latency
        }
        // Networks whose cell passes nothing on compute nothing: no sum over choices can say that.
        let known = latencies.filter { $0.value > 1e-4 }.sorted {
            $0.key.choices.lexicographicallyPrecedes($1.key.choices)
        }
        try #require(known.count > 100)
        let features = known.map { row in row.key.choices.flatMap { x in (0..<5).map { $0 == x ? 1.0 : 0 } } }
        let times = known.map(\.value)
        var random = RandomSource(seed: 41)
        let error = try LinearModel.crossValidate(
            features: features, values: times, folds: 5, ridge: 1, intercept: .regularised, using: &random)
        #expect(error.meanAbsolute < 0.1 * SampleStatistics.mean(times), "\(error)")

        // The closed form (X'X + 1)⁻¹ X'y, by elimination.
        let model = try LinearModel(features: features, values: times, ridge: 1, intercept: .regularised)
        let rows = features.map { $0 + [1] }, n = 16
        var matrix = (0..<n).map { i in
            (0..<n).map { j in rows.reduce(i == j ? 1.0 : 0) { $0 + $1[i] * $1[j] } }
                + [zip(rows, times).reduce(0) { $0 + $1.0[i] * $1.1 }]
        }
        for column in 0..<n {
            for row in 0..<n where row != column {
                let factor = matrix[row][column] / matrix[column][column]
                for k in column...n { matrix[row][k] -= factor * matrix[column][k] }
            }
        }
        for (row, weight) in (model.weights + [model.intercept]).enumerated() {
            #expect(abs(weight - matrix[row][n] / matrix[row][row]) < 1e-5 * model.intercept)
        }
    }

    /// Relaxed samples and the score of their density estimate one gradient, that of `E[C(Z)]`; here of two alternatives,
    /// where it is an integral over one number.
    @Test func estimatorsOfARelaxedCostAgree() {
        let logits = [0.4, -0.3], costs = [3.0, 1.0], tau = 0.7, draws = 1_000_000
        // Z0 = σ((a0 - a1 + logit u)/τ).
        func expectation(_ difference: Double) -> Double {
            let steps = 200_000
            return (0..<steps).reduce(0) { sum, i in
                let u = (Double(i) + 0.5) / Double(steps)
                let z = 1 / (1 + Double.exp(-(difference + Double.log(u / (1 - u))) / tau))
                return sum + (z * costs[0] + (1 - z) * costs[1]) / Double(steps)
            }
        }
        let gap = logits[0] - logits[1], slope = (expectation(gap + 1e-4) - expectation(gap - 1e-4)) / 2e-4
        let exact = [slope, -slope, 0, 0]
        var random = RandomSource(seed: 42), pathwise = Moments(), score = Moments()
        for _ in 0..<draws {
            let draw = ConcreteDraw(logits: logits, tau: tau, noise: [random.uniformOpen(), random.uniformOpen()])
            let cost = zip(draw.zeta, costs).reduce(0) { $0 + $1.0 * $1.1 }
            pathwise.add(draw.pathwise(costs) + [0, 0])
            score.add(draw.densityScore.map { cost * $0 } + [0, 0])
        }
        #expect(pathwise.zScores(exact)[..<2].max()! < 3, "\(pathwise.mean) \(exact)")
        #expect(score.zScores(exact)[..<2].max()! < 3, "\(score.mean) \(exact)")
        #expect(score.variances[0] > pathwise.variances[0])
    }

    /// The score is the derivative of the log density at the sample, held where it is.
    @Test func theScoreOfTheDensityIsItsDerivative() {
        let logits = [0.4, -0.3, 0.9], draw = ConcreteDraw(logits: logits, tau: 0.7, noise: [0.3, 0.8, 0.45])
        for (i, found) in draw.densityScore.enumerated() {
            func density(_ step: Double) -> Double {
                var moved = logits
                moved[i] += step
                return ConcreteDraw.logDensity(draw.zeta, logits: moved, tau: 0.7)
            }
            #expect(abs((density(1e-6) - density(-1e-6)) / 2e-6 - found) < 1e-7)
        }
    }

    /// With a heavier cost the expected one falls, down to the cheapest of every choice.
    @Test func aHeavierCostTermGivesCheaperNetworks() throws {
        let task = try PlantedTask(
            SearchSpace(yaml: PlantedTask.micro, file: "planted.yaml"), training: 256, validation: 64, seed: 1)
        let table = AdditiveCost(
            fixed: 0.1, table: task.space.sites.map { _ in [0.2, 0.01, 0.9, 0.3, 0.4] })
        var costs: [Double] = [], cheapest = 0
        for weight in [0.0, 0.02, 0.1, 100] {
            var recipe = Recipe.snas
            recipe.cost = Recipe.CostRule(measures: [.macs], aggregation: .sampled, form: .linear(weight: weight))
            recipe.architecture.acceleration = 100
            let search = try task.loop(
                recipe, steps: 150, batch: 16, seed: 1,
                cost: ArchitectureCost(table: table, exact: { table($0.choices) }, rule: recipe.cost!))
            for _ in 0..<150 { try search.advance() }
            costs.append(table(search.state.probabilities))
            cheapest = search.architecture.choices.count { $0 == 1 }
        }
        #expect(zip(costs, costs.dropFirst()).allSatisfy { $0 > $1 }, "\(costs)")
        #expect(cheapest == task.space.sites.count)
    }

    /// Weight steps between two of the architecture are taken, not unrolled: more of them need no more memory. A graph that
    /// holds more of the computation does, so the figure says something.
    @Test func weightStepsBetweenArchitectureStepsTakeNoMemory() throws {
        func bytes(weightSteps: Int, _ estimator: Recipe.Estimator = Recipe.idarts.estimator) throws -> Int {
            let task = try PlantedTask(
                SearchSpace(yaml: PlantedTask.micro, file: "planted.yaml"), training: 32, validation: 16, seed: 1)
            var recipe = Recipe.idarts
            (recipe.schedule, recipe.estimator) = (.alternating(weightSteps: weightSteps), estimator)
            let search = try task.loop(recipe, steps: 16, batch: 16, seed: 1)
            for _ in 0..<16 { try search.advance() }
            #expect(search.architectureSteps == 16 / weightSteps)
            return task.arena.bytes
        }
        let one = try bytes(weightSteps: 1), eight = try bytes(weightSteps: 8)
        #expect(Double(eight) < 1.05 * Double(one), "\(one) bytes, then \(eight)")
        let exact = try bytes(weightSteps: 8, .hypergradient(.neumann(2)))
        #expect(Double(exact) > 1.05 * Double(one), "\(one) bytes, with exact products \(exact)")
    }

    /// The gap objective prefers the architecture that generalises where its weight is large, and a validation loss below
    /// the training loss is a gap as well.
    @Test func theGapObjectiveOrdersArchitectures() {
        func score(_ weight: Double, _ training: Double, _ validation: Double) -> Double {
            ArchitectureObjective.generalizationGap(weight: weight)(training: [training], validation: [validation])
                .value
        }
        func isClose(_ a: Double, _ b: Double) -> Bool { abs(a - b) < 1e-12 }
        // By validation loss alone the second wins.
        let losses = [(0.3, 0.6), (0.5, 0.55)].map { pair in
            ArchitectureObjective.validationLoss(training: [pair.0], validation: [pair.1]).value
        }
        #expect(losses[1] < losses[0])
        #expect(isClose(score(0.5, 0.3, 0.6), 0.45) && isClose(score(0.5, 0.5, 0.55), 0.525))
        #expect(isClose(score(0.9, 0.3, 0.6), 0.57) && isClose(score(0.9, 0.5, 0.55), 0.545))
        #expect(isClose(score(0.5, 0.6, 0.4), 0.7))
    }
}
