import IR
import RealModule
import Search
import Testing

@Suite struct FisherScheduleTests {
    @Test(arguments: [1.0, 5, 10])
    func theRateIsExactInTheLongRun(frequency: Double) {
        var random = RandomSource(seed: 21), schedule = FisherSchedule(frequency: frequency), steps = 0
        for i in 0..<20_000 {
            if schedule.isArchitectureStepDue() { steps += 1 }
            schedule.observe(Double.exp(0.5 * random.normal() + Double.sin(Double(i) / 300)))
        }
        let expected = 20_000 / (frequency + 1)
        #expect(abs(Double(steps) - expected) < 0.01 * expected, "\(steps) of \(expected)")
    }

    /// The trace rises tenfold: the architecture rests; it falls back: the architecture catches up.
    @Test(arguments: [(1.0, 24.6, 12.5), (5, 12.0, 4.2), (10, 6.0, 2.3)])
    func aStepOfTheTraceIsAnswered(frequency: Double, afterFall: Double, atRest: Double) {
        let trials = 100
        var resting = 0, rising = 0, falling = 0
        for trial in 0..<trials {
            var random = RandomSource(seed: 22).fork(trial), schedule = FisherSchedule(frequency: frequency)
            for i in 0..<900 {
                let level = (600..<700).contains(i) ? 10.0 : 1
                let due = schedule.isArchitectureStepDue()
                if due && (575..<600).contains(i) { resting += 1 }
                if due && (610..<635).contains(i) { rising += 1 }
                if due && (700..<725).contains(i) { falling += 1 }
                schedule.observe(level * Double.exp(0.2 * random.normal()))
            }
        }
        #expect(rising == 0)
        #expect(Double(falling) / Double(trials) > 1.5 * Double(resting) / Double(trials))
        #expect(abs(Double(falling) / Double(trials) - afterFall) < 0.25 * afterFall, "\(falling)")
        #expect(abs(Double(resting) / Double(trials) - atRest) < 0.25 * atRest, "\(resting)")
    }
}

@Suite struct RegularizerTests {
    private let layout = Discretizer.Layout(nodes: [[0, 1], [2, 3, 4]], none: [0, 0, 0, 0, 0])
    private func weights(_ random: inout RandomSource) -> [[Double]] {
        (0..<5).map { _ in softmax((0..<5).map { _ in random.normal() }) }
    }

    @Test func proximityPullsTowardsTheDiscretizersOwnChoice() {
        var random = RandomSource(seed: 31)
        let m = weights(&random), proximity = Proximity(strength: 0.1), rule = Discretizer.topEdges(2)
        let vertex = rule.vertex(m, layout)
        let (value, gradient) = proximity(m, rule, layout, progress: 0.4)
        let length = zip(m, vertex).reduce(0) { $0 + zip($1.0, $1.1).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }
            .squareRoot()
        #expect(abs(value - 0.05 * 0.4 * length) < 1e-12)
        // Differences along every entry, the vertex held where it is.
        for site in m.indices {
            for o in m[site].indices {
                func at(_ step: Double) -> Double {
                    var moved = m
                    moved[site][o] += step
                    return 0.05 * 0.4
                        * zip(moved, vertex).reduce(0) {
                            $0 + zip($1.0, $1.1).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
                        }.squareRoot()
                }
                let difference = (at(1e-6) - at(-1e-6)) / 2e-6
                #expect(abs(difference - gradient[site][o]) < 1e-5 * max(abs(difference), 1e-3))
            }
        }
    }

    @Test func topEdgesIgnoreNone() {
        var m = [[Double]](repeating: [0.9, 0.025, 0.025, 0.025, 0.025], count: 5)
        m[1][3] = 0.03
        m[2][2] = 0.05
        m[4][4] = 0.04
        let chosen = Discretizer.topEdges(2).choose(m, layout)
        #expect(chosen == [1, 3, 2, 0, 4])
        #expect(Discretizer.heaviest.choose(m, layout) == [0, 0, 0, 0, 0])
        let vertex = Discretizer.topEdges(2).vertex(m, layout)
        #expect(vertex[3].allSatisfy { $0 == 0 })
        #expect(vertex.joined().reduce(0, +) == 4)
    }

    /// With a linear loss the minimiser over the simplex is the best corner; the multipliers must take m there.
    @Test func multipliersConvergeToTheBestCorner() {
        let layout = Discretizer.Layout(nodes: [[0], [1]], none: [nil, nil]), rule = Discretizer.heaviest
        let costs = [[0.3, 0.1, 0.4], [0.2, 0.5, 0.15]]
        var alpha = [[0.0, 0, 0], [0.0, 0, 0]]
        var m = alpha.map(softmax)
        var admm = ADMM(strength: 2, interval: 10, start: m)
        for _ in 0..<10000 {
            let pull = admm.penalty(m).gradient
            for site in 0..<2 {
                let gradient = zip(costs[site], pull[site]).map { $0 + $1 }
                let step = Categorical(logits: alpha[site]).pullback(gradient)
                for o in 0..<3 { alpha[site][o] -= 0.5 * step[o] }
            }
            m = alpha.map(softmax)
            admm.didStep(m, rule, layout)
        }
        #expect(rule.choose(m, layout) == [1, 2])
        let gap = zip(m, admm.z).map { zip($0, $1).map { abs($0 - $1) }.max()! }.max()!
        #expect(gap < 1e-3, "\(m)")
    }

    /// By differences, Z and U held where an update has left them.
    @Test func multipliersPullAlongTheirGradient() {
        var random = RandomSource(seed: 34)
        var admm = ADMM(strength: 0.1, interval: 1, start: weights(&random))
        admm.didStep(weights(&random), .topEdges(2), layout)
        let m = weights(&random), gradient = admm.penalty(m).gradient
        for site in m.indices {
            for o in m[site].indices {
                func at(_ step: Double) -> Double {
                    var moved = m
                    moved[site][o] += step
                    return admm.penalty(moved).value
                }
                let difference = (at(1e-6) - at(-1e-6)) / 2e-6
                #expect(abs(difference - gradient[site][o]) < 1e-5 * max(abs(difference), 1e-3))
            }
        }
    }

    @Test func withoutStrengthTheMultipliersDoNothing() {
        var random = RandomSource(seed: 33)
        let m = weights(&random)
        var admm = ADMM(strength: 0, interval: 1, start: m)
        admm.didStep(m, .topEdges(2), layout)
        #expect(admm.penalty(m).gradient.joined().allSatisfy { $0 == 0 })
    }

    @Test func duplicatesAreCountedOnce() {
        let m = [[0.2, 0.8], [0.5, 0.5]]
        let (value, gradient) = DuplicatePenalty(strength: 0.2)(m, pairs: [(0, 1)])
        #expect(abs(value - 0.1) < 1e-12)
        #expect(gradient[0] == [0.1, 0.1])
    }
}

@Suite struct CostTermTests {
    private let cost = AdditiveCost(fixed: 2, table: [[1, 4, 2], [3, 0, 5]])

    @Test func theGradientOfTheExpectationIsCentred() {
        let logits = [[0.3, -0.2, 0.9], [0.1, 0.4, -0.6]]
        for site in 0..<2 {
            let distribution = Categorical(logits: logits[site]), p = distribution.probabilities
            let mean = zip(p, cost.table[site]).reduce(0) { $0 + $1.0 * $1.1 }
            for (k, found) in distribution.pullback(cost.table[site]).enumerated() {
                #expect(abs(found - p[k] * (cost.table[site][k] - mean)) < 1e-10)
            }
        }
    }

    @Test func oneHotWeightsGiveTheExactCost() {
        #expect(cost([[0, 1, 0], [0, 0, 1]]) == cost([1, 2]))
        #expect(cost([1, 2]) == 11)
        #expect(cost.range == 3...11)
    }

    @Test(arguments: [
        CostForm.linear(weight: 0.3), .hinge(target: 5, weight: 2), .squared(target: 5, weight: 0.1),
        .relative(target: 5, weight: 0.1), .logProduct(target: 5, alpha: 0.2, beta: 0.3),
    ])
    func formsHaveTheirDerivatives(form: CostForm) {
        let (loss, at) = (1.3, 7.0), found = form(loss: loss, cost: at), step = 1e-6
        let byCost = (form(loss: loss, cost: at + step).value - form(loss: loss, cost: at - step).value) / (2 * step)
        let byLoss = (form(loss: loss + step, cost: at).value - form(loss: loss - step, cost: at).value) / (2 * step)
        #expect(abs(byCost - found.byCost) < 1e-7)
        #expect(abs(byLoss - found.byLoss) < 1e-7)
    }

    @Test func theGeneralizationGapIsExampleByExample() {
        let half = ArchitectureObjective.generalizationGap(weight: 0.5)
        #expect(abs(half(training: [0.3], validation: [0.6]).value - 0.45) < 1e-12)
        #expect(abs(half(training: [0.5], validation: [0.55]).value - 0.525) < 1e-12)
        #expect(abs(half(training: [0.6], validation: [0.4]).value - 0.7) < 1e-12)
        let strong = ArchitectureObjective.generalizationGap(weight: 0.9)
        #expect(strong(training: [0.5], validation: [0.55]).value < strong(training: [0.3], validation: [0.6]).value)
        // Opposite gaps do not cancel.
        #expect(abs(half(training: [0.6, 0.4], validation: [0.4, 0.6]).value - 0.6) < 1e-12)
    }
}
