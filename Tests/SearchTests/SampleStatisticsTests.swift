import Search
import Testing

@Suite struct SampleStatisticsTests {
    @Test(arguments: [
        // Critical values of the usual tables.
        (3.841459, 1, 0.05), (5.991465, 2, 0.05), (18.307038, 10, 0.05), (6.634897, 1, 0.01), (124.342113, 100, 0.05),
        (0, 3, 1.0), (2 * 1.3862943611198906, 2, 0.25),
    ])
    func chiSquareTailsMatchTheTables(statistic: Double, degrees: Int, tail: Double) {
        #expect(abs(SampleStatistics.chiSquareTail(statistic, degreesOfFreedom: degrees) - tail) < 1e-6)
    }

    @Test func aBiasedCoinIsFound() {
        #expect(SampleStatistics.chiSquareTest(counts: [5000, 5000]) == 1)
        #expect(SampleStatistics.chiSquareTest(counts: [5200, 4800]) < 0.001)
    }

    @Test func correlationsAreNormalised() {
        #expect(abs(SampleStatistics.correlation([1, 2, 3], [2, 4, 6.5]) - 0.99794872) < 1e-6)
        #expect(SampleStatistics.correlation([1, 1], [1, 2]) == 0)
    }

    @Test func summariesOfASample() {
        let sample = [4.0, 1, 3, 2]
        #expect(SampleStatistics.mean(sample) == 2.5)
        #expect(SampleStatistics.median(sample) == 2.5)
        #expect(SampleStatistics.quantile(sample, 0) == 1)
        #expect(SampleStatistics.quantile(sample, 1) == 4)
        #expect(abs(SampleStatistics.deviation(sample) - 1.2909944487) < 1e-9)
        #expect(SampleStatistics.deviation([3]) == 0)
    }

    @Test func theParetoFrontHoldsWhatNothingDominates() {
        let points: [[Double]] = [[90, 5], [80, 2], [85, 6], [92, 9], [80, 2], [80, 3], [70, 1]]
        #expect(paretoFront(points, [.maximize, .minimize]) == [3, 0, 1, 6])
        #expect(paretoFront([], [.maximize]) == [])
    }
}
