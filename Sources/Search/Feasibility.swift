import IR
import Spaces

/// Limits that no architecture of a space meets, with how low the costs can go.
public struct InfeasibleError: Error, Sendable, CustomStringConvertible {
    /// One cost of the architecture that comes closest.
    public struct Figure: Hashable, Sendable {
        public var name: String
        public var limit: Double
        public var cheapest: Double
        public var unit: Constraint.Unit
    }

    public var space: String
    public var figures: [Figure]
    /// The cheapest architecture, or the one that comes closest to meeting all limits.
    public var architecture: Architecture

    public var description: String {
        if figures.count == 1 {
            let it = figures[0]
            return "\(it.name): no network of the space \(space) is within \(it.unit.text(it.limit)); the cheapest has "
                + "\(it.unit.text(it.cheapest)). Raise the limit to at least that."
        }
        let parts = figures.map { "\($0.name) \($0.unit.text($0.cheapest)) (limit \($0.unit.text($0.limit)))" }
        return "no network of the space \(space) was found that meets all limits at once; the closest has "
            + parts.joined(separator: ", ") + ". Raise one of them."
    }
}

extension Constraints {
    /// Makes sure that some architecture meets every limit, and returns one that does.
    ///
    /// Costs are asked by coordinate descent: exact when a cost is a sum of what the sites contribute, or only ever grows
    /// with one site's choice whatever the others are, as MACs and parameters do.
    ///
    /// - Throws: ``InfeasibleError`` with the cheapest reachable figure of the limit that nothing meets, or of the closest
    ///   architecture when limits can be met one by one but none was found that meets all.
    @discardableResult
    public func requireFeasible(
        alphabet: [Int], space: String, restarts: Int = 20, using random: inout RandomSource
    ) throws -> Architecture {
        let origin = Architecture(choices: alphabet.map { _ in 0 })
        var starts: [Architecture] = []
        for constraint in all {
            let (cheapest, cost) = try Self.descend(from: origin, alphabet, until: -.infinity, constraint.cost)
            guard cost <= constraint.limit else {
                let figure = InfeasibleError.Figure(
                    name: constraint.name, limit: constraint.limit, cheapest: cost, unit: constraint.unit)
                throw InfeasibleError(space: space, figures: [figure], architecture: cheapest)
            }
            if try allow(cheapest) { return cheapest }
            starts.append(cheapest)
        }
        guard all.count > 1 else { return starts.first ?? origin }

        // What is over the limits, relative to each: zero exactly when all are met.
        let excess: (Architecture) throws -> Double = { architecture in
            try all.reduce(0) { sum, constraint in
                let cost = try constraint.cost(of: architecture)
                return sum + max(0, (cost - constraint.limit) / max(abs(constraint.limit), 1e-300))
            }
        }
        let uniform = UniformSampler(alphabet: alphabet)
        for _ in 0..<restarts { starts.append(uniform.sample(using: &random)) }
        var closest = (architecture: starts[0], excess: Double.infinity)
        for start in starts {
            let (architecture, left) = try Self.descend(from: start, alphabet, until: 0, excess)
            if left == 0 { return architecture }
            if left < closest.excess { closest = (architecture, left) }
        }
        let figures = try all.map { constraint in
            InfeasibleError.Figure(
                name: constraint.name, limit: constraint.limit, cheapest: try constraint.cost(of: closest.architecture),
                unit: constraint.unit)
        }
        throw InfeasibleError(space: space, figures: figures, architecture: closest.architecture)
    }

    /// Changes one site at a time to its cheapest alternative until nothing gets cheaper, or `goal` is reached.
    static func descend(
        from start: Architecture, _ alphabet: [Int], until goal: Double, _ cost: (Architecture) throws -> Double
    ) throws -> (Architecture, Double) {
        var best = start
        var lowest = try cost(best)
        var improved = true
        while improved, lowest > goal {
            improved = false
            for site in alphabet.indices where alphabet[site] > 1 {
                let current = best
                for choice in 0..<alphabet[site] where choice != current[site] {
                    var candidate = current
                    candidate.choices[site] = choice
                    let value = try cost(candidate)
                    if value < lowest { (best, lowest, improved) = (candidate, value, true) }
                }
            }
        }
        return (best, lowest)
    }
}
