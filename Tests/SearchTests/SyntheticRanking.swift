import IR
import Spaces

/// A ranking problem with known optimum: layers in a row, each with a score, neighbours with an interaction, and an
/// integer cost per choice with a budget. The optimum within the budget comes from dynamic programming.
struct SyntheticRanking {
    let layers = 20
    let operators = 4
    var single: [[Double]] = []
    var pair: [[[Double]]] = []
    var costs: [[Int]] = []
    var budget = 0

    init(seed: UInt64) {
        var random = RandomSource(seed: seed).fork("synthetic ranking")
        single = (0..<layers).map { _ in (0..<operators).map { _ in random.normal() } }
        pair = (0..<layers - 1).map { _ in
            (0..<operators).map { _ in (0..<operators).map { _ in 0.5 * random.normal() } }
        }
        costs = (0..<layers).map { _ in (0..<operators).map { _ in 1 + random.integer(below: 4) } }
        let meanCost = costs.reduce(0) { $0 + Double($1.reduce(0, +)) / Double(operators) }
        budget = Int(0.9 * meanCost)
    }

    var alphabet: [Int] { [Int](repeating: operators, count: layers) }

    func score(_ x: Architecture) -> Double {
        var sum = 0.0
        for l in 0..<layers { sum += single[l][x[l]] }
        for l in 0..<layers - 1 { sum += pair[l][x[l]][x[l + 1]] }
        return sum
    }

    func cost(_ x: Architecture) -> Int { (0..<layers).reduce(0) { $0 + costs[$1][x[$1]] } }

    /// The best score within the budget, over (layer, operator, budget used).
    func optimum() -> Double {
        var best = (0..<operators).map { o in
            (0...budget).map { $0 == costs[0][o] ? single[0][o] : -Double.infinity }
        }
        for l in 1..<layers {
            var next = [[Double]](repeating: [Double](repeating: -.infinity, count: budget + 1), count: operators)
            for o in 0..<operators where costs[l][o] <= budget {
                for used in costs[l][o]...budget {
                    for p in 0..<operators {
                        let value = best[p][used - costs[l][o]] + single[l][o] + pair[l - 1][p][o]
                        next[o][used] = max(next[o][used], value)
                    }
                }
            }
            best = next
        }
        return best.map { $0.max() ?? -.infinity }.max() ?? -.infinity
    }

    /// The mean score of uniform legal architectures.
    func meanOfLegal(samples: Int) -> Double {
        var random = RandomSource(seed: 0).fork("legal")
        var (sum, count) = (0.0, 0)
        while count < samples {
            let x = Architecture(choices: alphabet.map { random.integer(below: $0) })
            if cost(x) <= budget { (sum, count) = (sum + score(x), count + 1) }
        }
        return sum / Double(samples)
    }
}
