import Search
import Testing

@Suite struct StatisticsTests {
    @Test(arguments: [
        // Critical values of the usual tables.
        (3.841459, 1, 0.05), (5.991465, 2, 0.05), (18.307038, 10, 0.05), (6.634897, 1, 0.01), (124.342113, 100, 0.05),
        (0, 3, 1.0), (2 * 1.3862943611198906, 2, 0.25),
    ])
    func chiSquareTailsMatchTheTables(statistic: Double, degrees: Int, tail: Double) {
        #expect(abs(Statistics.chiSquareTail(statistic, degreesOfFreedom: degrees) - tail) < 1e-6)
    }

    @Test func aBiasedCoinIsFound() {
        #expect(Statistics.chiSquareTest(counts: [5000, 5000]) == 1)
        #expect(Statistics.chiSquareTest(counts: [5200, 4800]) < 0.001)
    }

    @Test func rankCorrelationsCountPairs() {
        #expect(Statistics.kendall([1, 2, 3, 4], [10, 20, 30, 40]) == 1)
        #expect(Statistics.kendall([1, 2, 3, 4], [4, 3, 2, 1]) == -1)
        // 5 concordant, 1 discordant of 6.
        #expect(abs(Statistics.kendall([1, 2, 3, 4], [1, 2, 4, 3]) - 4.0 / 6) < 1e-12)
        // One tie on one side: 5 / sqrt(5 * 6).
        #expect(abs(Statistics.kendall([1, 1, 3, 4], [1, 2, 3, 4]) - 5 / 30.0.squareRoot()) < 1e-12)
        #expect(Statistics.kendall([1, 1], [1, 2]) == 0)
        #expect(abs(Statistics.correlation([1, 2, 3], [2, 4, 6.5]) - 0.99794872) < 1e-6)
    }

    @Test func summariesOfASample() {
        let sample = [4.0, 1, 3, 2]
        #expect(Statistics.mean(sample) == 2.5)
        #expect(Statistics.median(sample) == 2.5)
        #expect(Statistics.quantile(sample, 0) == 1)
        #expect(Statistics.quantile(sample, 1) == 4)
        #expect(abs(Statistics.deviation(sample) - 1.2909944487) < 1e-9)
        #expect(Statistics.deviation([3]) == 0)
        let error = Statistics.predictionError(predicted: [1.1, 1.8], measured: [1, 2])
        #expect(abs(error.meanRelative - 0.1) < 1e-12 && abs(error.worstRelative - 0.1) < 1e-12 && error.kendall == 1)
    }

    @Test func theParetoFrontHoldsWhatNothingDominates() {
        let points: [[Double]] = [[90, 5], [80, 2], [85, 6], [92, 9], [80, 2], [80, 3], [70, 1]]
        #expect(paretoFront(points, [.maximize, .minimize]) == [3, 0, 1, 6])
        #expect(paretoFront([], [.maximize]) == [])
    }
}
