import IR
import RealModule
import Spaces
import Training

/// The parameters of a search's architecture, what they mean as weights, and their optimizer's state.
///
/// They live in a store of their own, so that no weight step can touch them and checkpoints hold them like weights.
final class ArchitectureState {
    let space: SearchSpace
    let recipe: Recipe
    let store = ParameterStore()
    /// The alternatives of each site that take part, in ascending order.
    private(set) var active: [[Int]]

    init(_ space: SearchSpace, _ recipe: Recipe, random: RandomSource) throws {
        (self.space, self.recipe) = (space, recipe)
        active = space.sites.map { site in
            site.alternatives.indices.filter { recipe.relaxation != .clamped || site.alternatives[$0] != "none" }
        }
        for (site, active) in zip(space.sites, active) {
            var random = random.fork(site.site)
            var values = Relaxation(recipe.relaxation, progress: 0).initial(active.count, &random)
            if let initial = recipe.architecture.initial, initial.count == 2 {
                values = values.map { _ in random.normal(mean: initial[0], deviation: initial[1]) }
            }
            var row = [Float](repeating: 0, count: site.alternatives.count)
            for (index, value) in zip(active, values) { row[index] = Float(value) }
            try store.add(site.site, shape: [row.count]) { row }
        }
    }

    /// The parameters of every site.
    var values: [[Double]] { store.tensors.map { $0.values.map(Double.init) } }

    private func activeValues(_ site: Int) -> [Double] {
        let tensor = store.tensors[site]
        return active[site].map { Double(tensor.values[$0]) }
    }

    private func full(_ site: Int, _ row: [Double]) -> [Double] {
        var result = [Double](repeating: 0, count: space.sites[site].alternatives.count)
        for (index, value) in zip(active[site], row) { result[index] = value }
        return result
    }

    /// The weights that the discretizer reads: probabilities, or the clamped values.
    var probabilities: [[Double]] {
        let relaxation: Relaxation = recipe.relaxation == .clamped ? .clamped : .softmax()
        return space.sites.indices.map { full($0, relaxation.weights(activeValues($0))) }
    }

    /// The entropy of the choices, relative to that of equal weights, averaged over the sites.
    var entropy: Double {
        let parts = space.sites.indices.compactMap { site -> Double? in
            let row = probabilities[site].filter { $0 > 0 }, total = row.reduce(0, +)
            guard total > 0 else { return nil }
            return row.reduce(0) { $0 - $1 / total * Double.log($1 / total) }
                / Double.log(Double(space.sites[site].alternatives.count))
        }
        return SampleStatistics.mean(parts)
    }

    /// Uniform noise of one step, for every alternative.
    func noise(_ random: RandomSource) -> [[Double]] {
        space.sites.enumerated().map { index, site in
            var random = random.fork(index)
            // Clamped as in the authors' code of UNAS: the logarithms stay tame.
            return site.alternatives.map { _ in min(max(random.uniformOpen(), 1e-3), 1 - 1e-3) }
        }
    }

    /// The mixture weights of every site, full rows.
    func mixture(_ relaxation: Relaxation, _ noise: [[Double]]) -> [[Double]] {
        space.sites.indices.map { site in
            full(site, relaxation.weights(activeValues(site), noise: active[site].map { noise[site][$0] }))
        }
    }

    /// The gradient with respect to the parameters of a loss whose gradient with respect to the mixture is given.
    func pullback(_ gradient: [[Double]], _ relaxation: Relaxation, _ noise: [[Double]]) -> [[Double]] {
        space.sites.indices.map { site in
            full(
                site,
                relaxation.pullback(
                    active[site].map { gradient[site][$0] }, activeValues(site),
                    noise: active[site].map { noise[site][$0] }))
        }
    }

    /// One draw of every site.
    func draws(tau: Double, _ noise: [[Double]]) -> [ConcreteDraw] {
        space.sites.indices.map { site in
            ConcreteDraw(logits: activeValues(site), tau: tau, noise: active[site].map { noise[site][$0] })
        }
    }

    /// Moves the parameters of the sites that have a gradient.
    func step(_ gradients: [[Double]?], rate: Double) {
        for (tensor, gradient) in zip(store.tensors, gradients) {
            guard let gradient else { continue }
            let floats = gradient.map { Float($0) }
            floats.withUnsafeBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return }
                recipe.architecture.optimizer.update(tensor, gradient: start, rate: rate, scale: 1)
            }
        }
    }

    /// Replaces the parameters of a site.
    func assign(_ values: [Double], site: Int) {
        for index in values.indices { store.tensors[site].values[index] = Float(values[index]) }
    }

    /// Sets clamped parameters that reached zero to zero for good, as long as every node keeps two edges alive.
    ///
    /// - Returns: Whether anything was pruned.
    /// - Source: Maile et al., *On Constrained Optimization in Differentiable NAS*, 2021, released code; the rule for the
    ///   last edges is our own.
    func prune() -> Bool {
        guard recipe.relaxation == .clamped else { return false }
        var nodeOf = [Int](repeating: -1, count: space.sites.count)
        var alive: [Int: Int] = [:]
        for (node, edges) in space.incomingEdges.enumerated() {
            for site in edges { nodeOf[site] = node }
            alive[node] = edges.filter { !active[$0].isEmpty }.count
        }
        var changed = false
        for site in space.sites.indices {
            for index in active[site] where store.tensors[site].values[index] <= 0 {
                store.tensors[site].values[index] = 0
                if active[site].count == 1 {
                    guard let left = alive[nodeOf[site]], left > 2 else { continue }
                    alive[nodeOf[site]] = left - 1
                }
                active[site].removeAll { $0 == index }
                changed = true
            }
        }
        return changed
    }

    /// Puts back what a checkpoint says took part.
    func restore(active: [[Int]]) { self.active = active }
}

extension Relaxation {
    /// The relaxation of a rule at a share of the run.
    init(_ rule: Recipe.RelaxationRule, progress: Double) {
        switch rule {
        case .uniformPath, .ownPath, .softmax: self = .softmax()
        case .clamped: self = .clamped
        case .concrete(let tau): self = .concrete(tau: tau.value(at: Int(progress * 1e6), of: 1_000_000))
        }
    }
}

extension SearchSpace {
    /// The sites that end at each computed node of each cell.
    var incomingEdges: [[Int]] {
        cells.flatMap { cell -> [[Int]] in
            cell.wiring == .twoSlots
                ? (2..<cell.nodes).map { [cell.slot(0, of: $0).operator, cell.slot(1, of: $0).operator] }
                : (cell.wiring.inputs..<cell.nodes).map { to in (0..<to).map { cell.site(from: $0, to: to) } }
        }
    }
}
