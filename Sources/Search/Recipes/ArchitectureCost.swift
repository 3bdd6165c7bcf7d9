import Spaces

/// A cost term ready for use: its table over the choices, and its exact figure for a whole architecture.
struct ArchitectureCost: Sendable {
    /// In units of the limit, or of the space's mean.
    var table: AdditiveCost
    /// The same for one architecture, as a function without a gradient.
    var exact: @Sendable (Architecture) throws -> Double
    var rule: Recipe.CostRule

    /// What the form adds to a loss, and its derivatives, with the weight of a share of the run.
    func term(loss: Double, cost: Double, progress: Double) -> (value: Double, byLoss: Double, byCost: Double) {
        let ramp = rule.ramp > 0 ? min(1, progress / rule.ramp) : 1
        let full = rule.form(loss: loss, cost: cost)
        return (
            loss + ramp * (full.value - loss), 1 + ramp * (full.byLoss - 1), ramp * full.byCost
        )
    }
}

extension AdditiveCost {
    /// The table of a cost by changing one choice of an architecture at a time: exact where choices do not interact.
    init(_ space: SearchSpace, base: Architecture, _ cost: (Architecture) throws -> Double) rethrows {
        let origin = try cost(base)
        var table: [[Double]] = []
        for (site, count) in space.alphabet.enumerated() {
            table.append(
                try (0..<count).map { choice in
                    guard choice != base[site] else { return 0 }
                    var changed = base
                    changed.choices[site] = choice
                    return try cost(changed) - origin
                })
        }
        self.init(fixed: origin, table: table)
    }

    /// The mean over uniform architectures.
    var mean: Double { table.reduce(fixed) { $0 + $1.reduce(0, +) / Double($1.count) } }

    /// The sum of several costs, each divided by its unit, averaged.
    init(average parts: [(cost: AdditiveCost, unit: Double)]) {
        let n = Double(parts.count)
        self.init(fixed: parts.reduce(0) { $0 + $1.cost.fixed / $1.unit } / n, table: parts[0].cost.table)
        for site in table.indices {
            for choice in table[site].indices {
                table[site][choice] = parts.reduce(0) { $0 + $1.cost.table[site][choice] / $1.unit } / n
            }
        }
    }
}
