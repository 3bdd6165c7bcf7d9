import Foundation
import IR
import Testing

@Suite struct RandomTests {
    @Test func sameSeedSameStream() {
        var x = RandomSource(seed: 7)
        var y = RandomSource(seed: 7)
        var z = RandomSource(seed: 8)
        let first = (0..<100).map { _ in x.next() }
        #expect(first == (0..<100).map { _ in y.next() })
        #expect(first != (0..<100).map { _ in z.next() })
    }

    @Test func forksIgnoreEarlierDrawsAndDiffer() {
        let fresh = RandomSource(seed: 1)
        var used = fresh
        for _ in 0..<10 { _ = used.next() }
        #expect(fresh.fork("a") == used.fork("a"))
        #expect(fresh.fork("a") != fresh.fork("b"))
        #expect(fresh.fork("a").fork("b") != fresh.fork("b").fork("a"))
        #expect(Set((0..<1000).map { fresh.fork($0) }).count == 1000)
        var parent = fresh
        var child = fresh.fork(0)
        #expect(parent.next() != child.next())
    }

    @Test func stateRoundTripsThroughJSON() throws {
        var source = RandomSource(seed: .max)
        for _ in 0..<5 { _ = source.next() }
        let data = try JSONEncoder().encode(["rng": source])
        var copy = try #require(try JSONDecoder().decode([String: RandomSource].self, from: data)["rng"])
        #expect(copy == source)
        #expect(copy.fork("x") == source.fork("x"))
        #expect(copy.next() == source.next())
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([RandomSource].self, from: Data(#"["1 0 0 0 0"]"#.utf8))
        }
    }

    @Test func integersAreUniform() {
        var source = RandomSource(seed: 3)
        var counts = [Int](repeating: 0, count: 7)
        for _ in 0..<70_000 { counts[source.integer(below: 7)] += 1 }
        let chi = counts.reduce(0.0) { $0 + pow(Double($1) - 10_000, 2) / 10_000 }
        #expect(chi < 22.5)  // 6 degrees of freedom, p = 0.001
    }

    @Test(arguments: [(0.2, 0.2), (1.0, 1.0), (3.0, 2.0)])
    func betaHasItsMoments(_ alpha: Double, _ beta: Double) {
        var source = RandomSource(seed: 5)
        let n = 20_000
        let draws = (0..<n).map { _ in source.beta(alpha, beta) }
        let mean = draws.reduce(0, +) / Double(n)
        let sum = alpha + beta
        let variance = alpha * beta / (sum * sum * (sum + 1))
        #expect(abs(mean - alpha / sum) < 4 * (variance / Double(n)).squareRoot())
        let found = draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n)
        #expect(abs(found / variance - 1) < 0.06)
    }

    @Test func normalAndGumbelHaveTheirMoments() {
        var source = RandomSource(seed: 11)
        let n = 40_000
        let normal = (0..<n).map { _ in source.normal(mean: 2, deviation: 3) }
        let mean = normal.reduce(0, +) / Double(n)
        let variance = normal.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n)
        #expect(abs(mean - 2) < 0.06)
        #expect(abs(variance - 9) < 0.3)
        let gumbel = (0..<n).map { _ in source.gumbel() }.reduce(0, +) / Double(n)
        #expect(abs(gumbel - 0.57722) < 0.03)
    }

    @Test func categoricalFollowsItsWeights() {
        var source = RandomSource(seed: 13)
        var counts = [0, 0, 0, 0]
        for _ in 0..<40_000 { counts[source.categorical([1, 0, 2, 5])] += 1 }
        #expect(counts[1] == 0)
        for (count, share) in zip(counts, [0.125, 0, 0.25, 0.625]) {
            #expect(abs(Double(count) / 40_000 - share) < 0.01)
        }
    }

    @Test func permutationHoldsEveryIndexOnce() {
        var source = RandomSource(seed: 17)
        #expect(source.permutation(100).sorted() == Array(0..<100))
        #expect(source.permutation(0) == [])
        var orders: [[Int]: Int] = [:]
        for _ in 0..<6000 { orders[source.permutation(3), default: 0] += 1 }
        #expect(orders.count == 6)
        #expect(orders.values.allSatisfy { abs($0 - 1000) < 150 })
    }
}
