import IR
import Spaces

/// How a step of supernet training picks the path that runs.
public protocol Sampler: Sendable {
    func sample(using random: inout RandomSource) -> Architecture
}

/// Every alternative of every site with equal probability.
///
/// - Source: Guo et al., *Single Path One-Shot Neural Architecture Search with Uniform Sampling*, ECCV 2020, section 3.2.
public struct UniformSampler: Sampler {
    public let alphabet: [Int]

    public init(alphabet: [Int]) { self.alphabet = alphabet }

    public func sample(using random: inout RandomSource) -> Architecture {
        Architecture(choices: alphabet.map { random.integer(below: $0) })
    }
}

/// Each site's alternatives with probabilities of their own.
public struct CategoricalSampler: Sampler {
    /// Non-negative weights, per site and alternative; they need not sum to one.
    public let weights: [[Double]]

    public init(weights: [[Double]]) {
        precondition(
            weights.allSatisfy { $0.allSatisfy { $0 >= 0 } && $0.reduce(0, +) > 0 },
            "weights are non-negative and not all zero at a site")
        self.weights = weights
    }

    /// One prior for every site: the weight of each alternative by its label, 1 where none is given.
    ///
    /// - Source: Peng et al., *Cream of the Crop*, NeurIPS 2020 (a prior over the operators, the same in each layer).
    public init(space: SearchSpace, prior: [String: Double]) {
        self.init(weights: space.sites.map { $0.alternatives.map { prior[$0] ?? 1 } })
    }

    public func sample(using random: inout RandomSource) -> Architecture {
        Architecture(choices: weights.map { random.categorical($0) })
    }
}

/// A bin of cost drawn uniformly, then a path that falls into it.
///
/// Uniform paths crowd around the mean cost; bins give cheap and expensive ones equal practice. A bin that no path was
/// found for in `tries` draws is given up for that step, and an unconstrained path is taken.
///
/// - Source: Guo et al., *Single Path One-Shot*, ECCV 2020, released code (bins of 10M FLOPs, 500 tries).
public struct CostBinSampler: Sampler {
    public let bins: [Range<Double>]
    public let tries: Int
    /// What draws the paths that bins choose from.
    private let base: any Sampler
    private let cost: @Sendable (Architecture) -> Double

    public init(
        base: any Sampler, bins: [Range<Double>], tries: Int = 500, cost: @escaping @Sendable (Architecture) -> Double
    ) {
        precondition(!bins.isEmpty, "a bin sampler needs a bin")
        (self.base, self.bins, self.tries, self.cost) = (base, bins, tries, cost)
    }

    /// Bins of equal width that cover `range`.
    public static func bins(_ range: Range<Double>, count: Int) -> [Range<Double>] {
        let width = (range.upperBound - range.lowerBound) / Double(count)
        return (0..<count).map { range.lowerBound + Double($0) * width..<range.lowerBound + Double($0 + 1) * width }
    }

    public func sample(using random: inout RandomSource) -> Architecture {
        let bin = bins[random.integer(below: bins.count)]
        for _ in 0..<tries {
            let path = base.sample(using: &random)
            if bin.contains(cost(path)) { return path }
        }
        return base.sample(using: &random)
    }
}
