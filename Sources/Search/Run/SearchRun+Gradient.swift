import Foundation
import IR
import RealModule
import Spaces
import Training

/// The phases of searches that learn the architecture by gradient.
extension SearchRun {
    private var searchSteps: Int { configuration.supernet.steps(images: splits.weights.count) }

    /// The loop with its images and costs, as it starts.
    func relaxedSearch() throws -> RelaxedSearch {
        let settings = configuration.supernet
        let images = try RelaxedSearch.Images(splits, configuration.recipe, settings, random: random)
        return try RelaxedSearch(
            space, configuration.recipe, settings: settings, steps: searchSteps, images: images,
            cost: try architectureCost(), backend: backend, random: random.fork("search"))
    }

    /// The recipe's cost term in figures of this run: tables over the choices, and the exact cost of a network.
    func architectureCost() throws -> ArchitectureCost? {
        guard let rule = configuration.recipe.cost else { return nil }
        let base = Architecture(choices: space.alphabet.map { $0 - 1 })
        var parts: [(cost: AdditiveCost, unit: Double)] = []
        var exact: [(@Sendable (Architecture) throws -> Double, unit: Double)] = []
        for measure in rule.measures {
            guard let (figure, limit) = try figure(measure) else { continue }
            let table = try AdditiveCost(space, base: base, figure)
            let unit = limit ?? table.mean
            parts.append((table, unit))
            exact.append((figure, unit))
        }
        guard !parts.isEmpty else { return nil }
        let figures = exact
        return ArchitectureCost(
            table: AdditiveCost(average: parts),
            exact: { architecture in
                try figures.reduce(0) { $0 + (try $1.0(architecture)) / $1.unit } / Double(figures.count)
            }, rule: rule)
    }

    private func figure(
        _ measure: Recipe.CostRule.Measure
    ) throws -> (@Sendable (Architecture) throws -> Double, limit: Double?)? {
        let (costs, limits) = (costs, configuration.limits)
        switch measure {
        case .macs: return ({ try costs.figures($0).macs }, limits.macs)
        case .parameters: return ({ try costs.figures($0).weightBytes }, limits.flash)
        case .traffic: return ({ try costs.figures($0).traffic }, nil)
        case .latency:
            guard let estimator = state.estimator else { return nil }
            return ({ estimator.predict(try costs.figures($0).features) }, limits.latency)
        }
    }

    func searchByGradient() throws {
        let search = try relaxedSearch(), saved = checkpoints(of: "supernet")
        if let found = try saved.latest() { try search.restore(found.checkpoint) }
        let steps = search.steps
        let interval = max(1, steps / configuration.observations)
        var seen = log.trials.compactMap(\.observation?.step).max() ?? -1
        var latest = log.trials.last { $0.observation != nil }?.observation
        func save() throws {
            try saveState()
            try saved.save(search.checkpoint())
            search.lastCheckpoint = search.step
        }
        if search.step == 0 { try save() }
        let begun = (step: search.step, time: ContinuousClock().now)
        while search.step < steps {
            if cancellation?.isRequested == true { try save() }
            try checkCancellation()
            try search.advance()
            if search.step.isMultiple(of: interval) || search.step == steps, search.step > seen {
                let observation = try search.observe()
                try add(.observation, search.architecture, observation: observation)
                (latest, seen) = (observation, search.step)
                if search.step.isMultiple(of: 5 * interval) { try writeRecord(status: "running") }
            }
            if search.step.isMultiple(of: max(20, steps / 10)) || search.step == steps { try save() }
            let speed =
                Double((search.step - begun.step) * configuration.supernet.batch)
                / (ContinuousClock().now - begun.time).seconds
            report(
                search.step, of: steps,
                text(search, latest) + ", \(Int(speed)) images/s, peak memory \(PeakMemory.bytes >> 20) MiB")
        }
        try store.load(search.store.snapshot())
    }

    private func text(_ search: RelaxedSearch, _ latest: Observation?) -> String {
        var text = "loss \(decimal(search.trainingLoss, 3))"
        if let latest {
            text +=
                ", validation \(decimal(latest.validationLoss, 3)), gap \(decimal(latest.discretizationGap, 3)), "
                + "entropy \(decimal(latest.entropy, 2)), leaders \(decimal(latest.confidence, 2)), "
                + "skips \(decimal(100 * latest.skipShare, 0)) %"
            if let cost = latest.expectedCost { text += ", cost \(decimal(cost, 2)) of the limit" }
        }
        return text
    }

    // MARK: Selection

    /// Reads the architecture off, changes it as little as possible to what the limits allow, and judges it and its
    /// neighbours by inherited weights.
    func select() throws {
        let search = try relaxedSearch()
        guard let found = try checkpoints(of: "supernet").latest() else {
            throw SearchError(.resume, "\(folder.checkpoints)/supernet: holds no whole checkpoint")
        }
        try search.restore(found.checkpoint)
        try loadSupernet()
        let candidates = try Discretization(search, constraints()).candidates(4 * configuration.finalists)
        guard !candidates.isEmpty else {
            throw SearchError(
                .failed,
                "no network near the one that was found keeps the limits. Raise them, or give the cost more weight.")
        }
        let judge = judge(search.supernet)
        state.leaders = []
        for (index, candidate) in candidates.enumerated() {
            try checkCancellation()
            // What nothing but speed argues for is judged when its turn comes: leaders are compared by their weights.
            let accuracy = index < configuration.finalists ? try judge.accuracy(of: candidate.architecture) : 0
            let predicted = try state.estimator?.predict(costs.figures(candidate.architecture).features)
            if index < configuration.finalists {
                try add(.candidate, candidate.architecture, accuracy: accuracy, predicted: predicted)
            }
            state.leaders.append(
                .init(architecture: candidate.architecture, score: candidate.score, accuracy: accuracy))
            report(index + 1, of: candidates.count, "accuracy \(decimal(100 * accuracy, 2)) %")
        }
    }
}

/// The networks within limits that a learned architecture gives the most weight.
struct Discretization {
    private let weights: [[Double]]
    private let start: Architecture
    /// The alternatives that may stand at each site.
    private let offered: [[Int]]
    private let constraints: Constraints

    init(_ search: RelaxedSearch, _ constraints: Constraints) {
        let chosen = search.chosen, layout = search.space.layout
        let edges = Set(layout.nodes.joined())
        weights = chosen.weights
        start = search.architecture
        self.constraints = constraints
        // An edge that was dropped stays so, and one that was kept keeps some operator.
        offered = search.space.alphabet.enumerated().map { site, count in
            guard edges.contains(site), case .discretized(.topEdges) = search.recipe.selection else {
                return Array(0..<count)
            }
            if chosen.choices[site] == layout.none[site] { return [chosen.choices[site] ?? 0] }
            return (0..<count).filter { $0 != layout.none[site] }
        }
    }

    /// The logarithm of the product of the choices' weights.
    private func score(_ architecture: Architecture) -> Double {
        zip(weights, zip(offered, architecture.choices)).reduce(0) { sum, site in
            site.1.0.count > 1 ? sum + Double.log(max(site.0[site.1.1], 1e-9)) : sum
        }
    }

    private func excess(_ architecture: Architecture) throws -> Double {
        try constraints.all.reduce(0) { sum, constraint in
            sum
                + max(
                    0, (try constraint.cost(of: architecture) - constraint.limit) / max(abs(constraint.limit), 1e-300))
        }
    }

    private func neighbours(_ architecture: Architecture) -> [Architecture] {
        offered.indices.flatMap { site in
            offered[site].filter { $0 != architecture[site] }.map { choice in
                var changed = architecture
                changed.choices[site] = choice
                return changed
            }
        }
    }

    /// The best that was found and its neighbours within the limits, best first.
    func candidates(_ count: Int) throws -> [Scored] {
        var best = start, over = try excess(start)
        // The change that costs the least weight for what it saves, until the limits hold.
        while over > 0 {
            var chosen: (architecture: Architecture, excess: Double, price: Double)?
            for candidate in neighbours(best) {
                let left = try excess(candidate)
                guard left < over else { continue }
                let price = max(0, score(best) - score(candidate)) / (over - left)
                if price < chosen?.price ?? .infinity { chosen = (candidate, left, price) }
            }
            guard let chosen else { return [] }
            (best, over) = (chosen.architecture, chosen.excess)
        }
        // What was changed more than needed is changed back.
        var improves = true
        while improves {
            improves = false
            for candidate in neighbours(best) where score(candidate) > score(best) {
                if try constraints.allow(candidate) { (best, improves) = (candidate, true) }
            }
        }
        var found = [Scored(best, score: score(best))]
        let others = neighbours(best).map { Scored($0, score: score($0)) }.enumerated().sorted {
            ($1.element.score, $0.offset) < ($0.element.score, $1.offset)
        }
        for (_, candidate) in others where found.count < count {
            if try constraints.allow(candidate.architecture) { found.append(candidate) }
        }
        return found
    }
}
