import IR
import Search
import Spaces
import Testing

@Suite struct SamplerTests {
    let alphabet = [2, 3, 4, 5, 7, 4, 4, 4]

    @Test func uniformSamplingIsUniformAtEverySite() {
        let sampler = UniformSampler(alphabet: alphabet)
        var random = RandomSource(seed: 42)
        var counts = alphabet.map { [Int](repeating: 0, count: $0) }
        for _ in 0..<10_000 {
            for (site, choice) in sampler.sample(using: &random).choices.enumerated() { counts[site][choice] += 1 }
        }
        for count in counts { #expect(SampleStatistics.chiSquareTest(counts: count) > 0.01, "\(count)") }
    }

    @Test func binsAreVisitedEqually() {
        let cost: @Sendable (Architecture) -> Double = { x in Double(x.choices.reduce(0, +)) }
        let bins = CostBinSampler.bins(4..<22, count: 6)
        let sampler = CostBinSampler(base: UniformSampler(alphabet: alphabet), bins: bins, cost: cost)
        var random = RandomSource(seed: 7)
        var counts = [Int](repeating: 0, count: bins.count)
        let draws = 6000
        for _ in 0..<draws {
            let value = cost(sampler.sample(using: &random))
            if let bin = bins.firstIndex(where: { $0.contains(value) }) { counts[bin] += 1 }
        }
        let mean = Double(draws) / Double(bins.count)
        let deviation = (mean * (1 - 1 / Double(bins.count))).squareRoot()
        for count in counts { #expect(abs(Double(count) - mean) < 3 * deviation, "\(counts)") }
    }

    @Test func anEmptyBinFallsBackToAnyPath() {
        let sampler = CostBinSampler(base: UniformSampler(alphabet: [2, 2]), bins: [100..<200], tries: 10) { _ in 1 }
        var random = RandomSource(seed: 1)
        #expect(sampler.sample(using: &random).choices.count == 2)
    }

    @Test func categoricalSamplingFollowsItsWeights() {
        let weights = [[1.0, 3], [0, 2, 2], [5.0, 1, 1, 1]]
        let sampler = CategoricalSampler(weights: weights)
        var random = RandomSource(seed: 3)
        var counts = weights.map { [Int](repeating: 0, count: $0.count) }
        for _ in 0..<10_000 {
            for (site, choice) in sampler.sample(using: &random).choices.enumerated() { counts[site][choice] += 1 }
        }
        #expect(counts[1][0] == 0)
        #expect(SampleStatistics.chiSquareTest(counts: counts[0], probabilities: [0.25, 0.75]) > 0.01)
        #expect(SampleStatistics.chiSquareTest(counts: Array(counts[1][1...])) > 0.01)
        #expect(SampleStatistics.chiSquareTest(counts: counts[2], probabilities: [0.625, 0.125, 0.125, 0.125]) > 0.01)
    }
}
