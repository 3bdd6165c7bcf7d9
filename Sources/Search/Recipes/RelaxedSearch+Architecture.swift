import IR
import RealModule
import Spaces
import Training

/// How the architecture moves: the estimators of its gradient, what cost and regularisers add, and the step itself.
extension RelaxedSearch {
    func architectureStep() throws {
        let relaxation = relaxation, noise = noise
        switch recipe.estimator {
        case .none: return
        case .gatePair: return try gateStep()
        case .hypergradient(let family):
            let mixture = state.mixture(relaxation, noise)
            let (loss, gradient) =
                family.terms == nil ? try objective(mixture) : try implicit(family, mixture)
            try move(loss: loss, gradient, mixture, relaxation, noise)
        case .pathwise:
            let mixture = state.mixture(relaxation, noise)
            let (loss, gradient) = try objective(mixture)
            try move(loss: loss, gradient, mixture, relaxation, noise)
        case .score(let score): try scoreStep(score, noise)
        }
    }

    /// The objective on data at a mixture, and its gradient with respect to that.
    private func objective(_ mixture: [[Double]], derivatives: MixtureStep.Derivatives = .mixture) throws
        -> (loss: Double, gradient: [[Double]])
    {
        let programs = try programs(state.active), running = cut(mixture, state.active)
        let random = stepRandom.fork("dropout")
        func pass(
            _ batch: Batch, _ derivatives: MixtureStep.Derivatives, _ weights: [Double]? = nil
        ) throws -> MixtureStep {
            let program = try programs.step(derivatives)
            try program.run(batch, mixture: running, exampleWeights: weights, random: random)
            try require(program.loss, program, batch, running, "the architecture's loss")
            return program
        }
        func gradient(_ program: MixtureStep) -> [[Double]] {
            derivatives == .none ? [] : spread(program.mixtureGradient, state.active)
        }
        switch recipe.objective {
        case .validationLoss:
            let program = try pass(images.architecture(step), derivatives)
            return (program.loss, gradient(program))
        case .trainingLoss:
            let program = try pass(images.training(step), derivatives)
            return (program.loss, gradient(program))
        case .generalizationGap:
            let trained = images.training(step), held = images.architecture(step)
            let first = try pass(trained, .none).exampleLosses(trained)
            let second = try pass(held, .none).exampleLosses(held)
            let (value, byTraining, byValidation) = recipe.objective(training: first, validation: second)
            guard derivatives != .none else { return (value, []) }
            let n = Double(first.count)
            let a = gradient(try pass(trained, derivatives, byTraining.map { $0 * n }))
            let b = gradient(try pass(held, derivatives, byValidation.map { $0 * n }))
            return (value, zip(a, b).map { zip($0, $1).map { $0 + $1 } })
        }
    }

    /// The hypergradient with an implicit term.
    private func implicit(
        _ family: Hypergradient, _ mixture: [[Double]]
    ) throws -> (loss: Double, gradient: [[Double]]) {
        let programs = try programs(state.active), running = cut(mixture, state.active)
        let random = stepRandom.fork("dropout"), step = step, images = images
        let isVirtual = family.point == .virtual
        // A virtual step is the step that follows, so it sees that batch; a series sees independent ones.
        var problem = SupernetProblem(
            programs, counts: running.map(\.count), outer: images.architecture(step), random: random,
            differences: family.differences
        ) { index in
            isVirtual ? images.training(step) : images.further(step * ((family.terms ?? 0) + 1) + index)
        }
        let w = programs.values, m = running.flatMap { $0 }
        var virtual: [Double]?
        if isVirtual {
            let gradient = try problem.innerGradient(w, m)
            let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let scale = settings.clip.map { norm > $0 ? $0 / norm : 1 } ?? 1
            var start = 0
            virtual = programs.weights.flatMap { tensor in
                defer { start += tensor.count }
                return settings.optimizer.virtualStep(
                    tensor, gradient: Array(gradient[start..<(start + tensor.count)]), rate: rate, scale: scale)
            }
        }
        let estimate = try family.estimate(&problem, w, m, step: rate, virtualWeights: virtual)
        guard problem.outerLoss.isFinite, estimate.gradient.allSatisfy({ $0.isFinite }) else {
            let culprit = try programs.step(.both).firstNonFinite(
                problem.outerBatch, mixture: running, random: random)
            throw failure("the hypergradient", culprit)
        }
        return (problem.outerLoss, spread(problem.rows(estimate.gradient), state.active))
    }

    /// Gradients of the validation loss with respect to the architecture's parameters as it is now, each averaged over
    /// the same batches. Changes nothing.
    func gradients(of families: [Hypergradient], batches: Int) throws -> [[[Double]]] {
        let now = step, relaxation = relaxation
        defer { step = now }
        var sums = families.map { _ in space.sites.map { $0.alternatives.map { _ in 0.0 } } }
        for index in 0..<batches {
            step = now - 1 - index
            let noise = noise, mixture = state.mixture(relaxation, noise)
            for (member, family) in families.enumerated() {
                let (_, byMixture) = family.terms == nil ? try objective(mixture) : try implicit(family, mixture)
                for (site, row) in state.pullback(byMixture, relaxation, noise).enumerated() {
                    for o in row.indices { sums[member][site][o] += row[o] / Double(batches) }
                }
            }
        }
        return sums
    }

    /// Two alternatives a site, one of which runs.
    private func gateStep() throws {
        var random = stepRandom.fork("gates")
        let before = state.values
        let pairs = space.sites.indices.map { GatePair(Categorical(logits: before[$0]), &random) }
        let active = pairs.map { [$0.first, $0.second].sorted() }
        let programs = try programs(active)
        let gates = zip(pairs, active).map { pair, active in active.map { $0 == pair.active ? 1.0 : 0 } }
        let batch = images.architecture(step), program = try programs.step(.mixture)
        try program.run(batch, mixture: gates, random: stepRandom.fork("dropout"))
        try require(program.loss, program, batch, gates, "the architecture's loss")
        let gradient = spread(program.mixtureGradient, active)
        let probabilities = state.probabilities
        let term = cost.map { $0.term(loss: program.loss, cost: $0.table(probabilities), progress: share) }
        let regular = regularization(probabilities)
        let moved = space.sites.indices.map { site -> [Double]? in
            let pair = pairs[site]
            // An active alternative that gives nothing says nothing about the loss.
            let isSilent = space.isZero(site, pair.active)
            func gate(_ index: Int) -> Double {
                (isSilent ? 0 : gradient[site][index] * (term?.byLoss ?? 1))
                    + (term?.byCost ?? 0) * (cost?.table.table[site][index] ?? 0) + regular[site][index]
            }
            return pair.gradient((gate(pair.first), gate(pair.second)), count: before[site].count)
        }
        state.step(moved, rate: architectureRate)
        let after = state.values
        for site in space.sites.indices {
            state.assign(pairs[site].rescaled(after[site], from: before[site]), site: site)
        }
        didMove()
    }

    /// The score function of a discrete sample, with the relaxed sample of the same noise as control variate.
    private func scoreStep(_ score: ScoreFunction, _ noise: [[Double]]) throws {
        guard case .concrete(let tau) = relaxation else { return }
        let draws = state.draws(tau: tau, noise)
        let soft = state.mixture(relaxation, noise)
        let z = zip(draws, state.active).map { $1[$0.z] }
        let oneHot = zip(space.sites, z).map { site, z in site.alternatives.indices.map { $0 == z ? 1.0 : 0 } }
        let usesSoft = score == .rebar || score == .none
        var (softLoss, gradient) = usesSoft ? try objective(soft) : (0, soft.map { $0.map { _ in 0 } })
        var hardLoss = score == .none ? softLoss : try objective(oneHot, derivatives: .none).loss
        if let cost {
            let hard =
                cost.rule.aggregation == .exact
                ? try cost.exact(Architecture(choices: z)) : cost.table(oneHot)
            hardLoss = cost.term(loss: hardLoss, cost: hard, progress: share).value
            let relaxed = cost.term(loss: softLoss, cost: cost.table(soft), progress: share)
            for site in gradient.indices {
                for index in gradient[site].indices {
                    gradient[site][index] =
                        relaxed.byLoss * gradient[site][index] + relaxed.byCost * cost.table.table[site][index]
                }
            }
            softLoss = relaxed.value
        }
        let baseline = progress.baseline ?? hardLoss
        if case .movingAverage(let decay) = score { progress.baseline = decay * baseline + (1 - decay) * hardLoss }
        var moved = zip(draws, state.active).enumerated().map { site, pair -> [Double] in
            let own = score.gradient(
                pair.0, hard: hardLoss, soft: (softLoss, pair.1.map { gradient[site][$0] }), baseline: baseline)
            var row = [Double](repeating: 0, count: space.sites[site].alternatives.count)
            for (index, value) in zip(pair.1, own) { row[index] = value }
            return row
        }
        // The regularisers have gradients of their own.
        let extra = state.pullback(regularization(state.probabilities), .softmax(), noise)
        for site in moved.indices { moved[site] = zip(moved[site], extra[site]).map { $0 + $1 } }
        state.step(moved, rate: architectureRate)
        didMove()
    }

    /// Adds cost and regularisers to a gradient with respect to the mixture, pulls it back and moves.
    func move(
        loss: Double, _ gradient: [[Double]], _ mixture: [[Double]], _ relaxation: Relaxation, _ noise: [[Double]]
    ) throws {
        let probabilities = state.probabilities
        var byMixture = gradient, byProbability = probabilities.map { $0.map { _ in 0.0 } }
        if let cost {
            let isSampled = cost.rule.aggregation == .sampled
            let term = cost.term(
                loss: loss, cost: cost.table(isSampled ? mixture : probabilities), progress: share)
            for site in byMixture.indices {
                for index in byMixture[site].indices {
                    byMixture[site][index] *= term.byLoss
                    let own = term.byCost * cost.table.table[site][index]
                    if isSampled { byMixture[site][index] += own } else { byProbability[site][index] += own }
                }
            }
        }
        let regular = regularization(relaxation == .clamped ? mixture : probabilities)
        for site in regular.indices {
            for index in regular[site].indices { byProbability[site][index] += regular[site][index] }
        }
        let own: Relaxation = relaxation == .clamped ? .clamped : .softmax()
        let first = state.pullback(byMixture, relaxation, noise), second = state.pullback(byProbability, own, noise)
        state.step(
            zip(first, second).map { zip($0, $1).map { $0 + $1 } },
            rate: architectureRate)
        didMove()
    }

    private func didMove() {
        architectureSteps += 1
        guard case .discretized(let discretizer) = recipe.selection, var multipliers = progress.multipliers else {
            return
        }
        let m = state.probabilities
        for (index, group) in space.groups.enumerated() {
            multipliers[index].didStep(Array(m[group]), discretizer, space.layout(of: group))
        }
        progress.multipliers = multipliers
    }

    /// The gradient of the regularisers with respect to the weights that the discretizer reads.
    private func regularization(_ m: [[Double]]) -> [[Double]] {
        var result = m.map { $0.map { _ in 0.0 } }
        guard case .discretized(let discretizer) = recipe.selection else { return result }
        func add(_ rows: [[Double]], at start: Int = 0) {
            for site in rows.indices {
                for index in rows[site].indices { result[start + site][index] += rows[site][index] }
            }
        }
        for rule in recipe.regularizers {
            switch rule {
            case .proximity(let strength):
                for group in space.groups {
                    let term = Proximity(strength: strength)(
                        Array(m[group]), discretizer, space.layout(of: group), progress: share)
                    add(term.gradient, at: group.lowerBound)
                }
            case .admm(let strength, let interval):
                let known =
                    progress.multipliers
                    ?? space.groups.map { ADMM(strength: strength, interval: interval, start: Array(m[$0])) }
                progress.multipliers = known
                for (group, it) in zip(space.groups, known) {
                    add(it.penalty(Array(m[group])).gradient, at: group.lowerBound)
                }
            case .duplicates(let strength):
                add(DuplicatePenalty(strength: strength)(m, slots: space.slotPairs).gradient)
            case .entropy(let strength):
                add(m.map { $0.map { $0 > 0 ? -strength * (Double.log($0) + 1) : 0 } })
            }
        }
        return result
    }
}

extension SearchSpace {
    /// The layout of a group of sites, counted from its first.
    func layout(of group: Range<Int>) -> Discretizer.Layout {
        let whole = layout
        return Discretizer.Layout(
            nodes: whole.nodes.filter { $0.allSatisfy(group.contains) }.map { $0.map { $0 - group.lowerBound } },
            none: Array(whole.none[group]))
    }
}
