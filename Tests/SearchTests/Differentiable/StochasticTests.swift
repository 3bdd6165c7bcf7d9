import IR
import RealModule
import Search
import Testing

private func noise(_ random: inout RandomSource) -> [Double] { (0..<4).map { _ in random.uniformOpen() } }

@Suite struct StochasticTests {
    /// Unbiased where plain Gumbel-softmax is detectably not, with far less variance than REINFORCE.
    @Test func rebarIsUnbiasedWithLittleVariance() {
        let toy = CategoricalToy(seed: 3, offset: 3), exact = toy.exact
        let corners = (0..<4).map { toy.value(toy.corner($0)) }
        var random = RandomSource(seed: 4), rebar = Moments(), gumbel = Moments(), reinforce = Moments()
        for _ in 0..<2_000_000 {
            let draw = ConcreteDraw(logits: toy.logits, tau: 0.4, noise: noise(&random))
            let soft = (value: toy.value(draw.zeta), gradient: toy.gradient(draw.zeta))
            rebar.add(ScoreFunction.rebar.gradient(draw, hard: corners[draw.z], soft: soft))
            gumbel.add(ScoreFunction.none.gradient(draw, hard: corners[draw.z], soft: soft))
            reinforce.add(ScoreFunction.movingAverage(decay: 0.99).gradient(draw, hard: corners[draw.z], soft: soft))
        }
        #expect(rebar.zScores(exact).max()! < 3.5, "\(rebar.zScores(exact))")
        #expect(reinforce.zScores(exact).max()! < 3.5)
        #expect(gumbel.zScores(exact).max()! > 10, "the bias of the pathwise gradient alone should show")
        #expect(reinforce.variances.reduce(0, +) >= 20 * rebar.variances.reduce(0, +))
    }

    @Test func theConditionalSampleEqualsTheSample() {
        var random = RandomSource(seed: 5), worst = 0.0
        for _ in 0..<100_000 {
            // Away from the ends of (0, 1) as the published code clamps it.
            let u = noise(&random).map { min(max($0, 1e-3), 1 - 1e-3) }
            let draw = ConcreteDraw(logits: [0.3, -1, 0.2, 1.5], tau: 0.4, noise: u)
            worst = max(worst, zip(draw.zeta, draw.conditionalZeta).map { abs($0 - $1) }.max()!)
        }
        #expect(worst < 1e-6)
    }

    @Test(arguments: [0.1, 0.4, 1.0])
    func theLargestWeightFollowsTheCategorical(tau: Double) {
        let logits = [0.3, -1, 0.2, 1.0], q = softmax(logits), draws = 200_000
        var random = RandomSource(seed: 6), counts = [0.0, 0, 0, 0]
        for _ in 0..<draws {
            counts[argmax(Relaxation.concrete(tau: tau).weights(logits, noise: noise(&random)))] += 1
        }
        for i in 0..<4 {
            let deviation = (q[i] * (1 - q[i]) / Double(draws)).squareRoot()
            #expect(abs(counts[i] / Double(draws) - q[i]) < 3.5 * deviation)
        }
    }

    @Test func biasShrinksAndVarianceGrowsWithTheTemperature() {
        let toy = CategoricalToy(seed: 3, offset: 0), exact = toy.exact
        var biases: [Double] = [], variances: [Double] = []
        for tau in [1.0, 0.4, 0.1] {
            var random = RandomSource(seed: 8), moments = Moments()
            for _ in 0..<200_000 {
                let draw = ConcreteDraw(logits: toy.logits, tau: tau, noise: noise(&random))
                moments.add(draw.pathwise(toy.gradient(draw.zeta)))
            }
            biases.append(zip(moments.mean, exact).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot())
            variances.append(moments.variances.reduce(0, +))
        }
        #expect(biases[0] > biases[1] && biases[1] > biases[2], "\(biases)")
        #expect(variances[0] < variances[1] && variances[1] < variances[2], "\(variances)")
    }

    @Test(arguments: [Relaxation.softmax(), .softmax(temperature: 2.5), .clamped, .concrete(tau: 0.7)])
    func relaxationsPullBackExactly(relaxation: Relaxation) {
        let alpha = [0.3, 0.1, 0.7, 0.45], u = [0.2, 0.9, 0.4, 0.6], gradient = [0.5, -1.2, 2, 0.1]
        let found = relaxation.pullback(gradient, alpha, noise: u)
        for i in alpha.indices {
            var up = alpha, down = alpha
            up[i] += 1e-6
            down[i] -= 1e-6
            let (a, b) = (relaxation.weights(up, noise: u), relaxation.weights(down, noise: u))
            let difference = zip(zip(a, b), gradient).reduce(0) { $0 + ($1.0.0 - $1.0.1) * $1.1 } / 2e-6
            #expect(abs(difference - found[i]) < 1e-7)
        }
    }

    @Test func clampedWeightsDoNotCompete() {
        let before = Relaxation.clamped.weights([0.2, 0.5, 0.9]), after = Relaxation.clamped.weights([0.7, 0.5, 0.9])
        #expect(before[1...] == after[1...])
    }

    /// The concrete density integrates to one over the simplex of two and three corners.
    @Test func theConcreteDensityIsADensity() {
        let tau = 1.5
        // Two corners, by the midpoint rule after x = t²(3 - 2t), which tames the ends.
        var total = 0.0
        let steps = 20_000
        for i in 0..<steps {
            let t = (Double(i) + 0.5) / Double(steps), x = t * t * (3 - 2 * t)
            total +=
                Double.exp(ConcreteDraw.logDensity([x, 1 - x], logits: [0.4, -0.3], tau: tau)) * 6 * t * (1 - t)
                / Double(steps)
        }
        #expect(abs(total - 1) < 1e-3)
        // Three corners: the same in both directions of the triangle.
        total = 0
        let side = 400
        for i in 0..<side {
            let s = (Double(i) + 0.5) / Double(side), x = s * s * (3 - 2 * s)
            for j in 0..<side {
                let t = (Double(j) + 0.5) / Double(side), y = (1 - x) * t * t * (3 - 2 * t)
                let area = 6 * s * (1 - s) * 6 * t * (1 - t) * (1 - x) / Double(side * side)
                total +=
                    Double.exp(ConcreteDraw.logDensity([x, y, 1 - x - y], logits: [0.4, -0.3, 0.1], tau: tau)) * area
            }
        }
        #expect(abs(total - 1) < 1e-3)
    }

    /// The mean two-path gradient against the enumeration of every pair and of the active one.
    @Test func gatePairsAverageToTheirExpectation() {
        let distribution = Categorical(logits: [0.4, -0.5, 0.9, 0.1]), outputs = [1.0, -2, 0.5, 3],
            p = distribution.probabilities
        var expected = [0.0, 0, 0, 0]
        for i in 0..<4 {
            for j in 0..<4 where j != i {
                let chance = p[i] * p[j] / (1 - p[i]), (a, b) = (p[i] / (p[i] + p[j]), p[j] / (p[i] + p[j]))
                let mean = a * outputs[i] + b * outputs[j]
                expected[i] += chance * a * (outputs[i] - mean)
                expected[j] += chance * b * (outputs[j] - mean)
            }
        }
        var random = RandomSource(seed: 9), moments = Moments()
        for _ in 0..<100_000 {
            let pair = GatePair(distribution, &random)
            moments.add(pair.gradient((outputs[pair.first], outputs[pair.second]), count: 4))
        }
        #expect(moments.zScores(expected).max()! < 3, "\(moments.zScores(expected))")
    }

    @Test func gatePairsLeaveTheOthersAlone() {
        let old = [0.4, -0.5, 0.9, 0.1], distribution = Categorical(logits: old)
        var random = RandomSource(seed: 10)
        let pair = GatePair(distribution, &random)
        var new = old
        new[pair.first] += 0.3
        new[pair.second] -= 1.1
        let after = softmax(pair.rescaled(new, from: old))
        for i in 0..<4 where i != pair.first && i != pair.second {
            #expect(abs(after[i] - distribution.probabilities[i]) < 1e-12)
        }
        #expect(abs(after.reduce(0, +) - 1) < 1e-12)
    }
}
