import IR
import RealModule
import Spaces
import Training

/// The loop of every differentiable search: weight steps, and architecture steps when the schedule says so.
///
/// What a step draws is a function of the seed and the step's number, so the state is what ``checkpoint()`` stores and a
/// run that was stopped goes on bit-identically.
final class RelaxedSearch {
    /// Where images come from. Batches of one source are valid until its next one is asked for.
    struct Images {
        /// For weight steps.
        var training: (Int) -> Batch
        /// For architecture steps, of the architecture's own images.
        var architecture: (Int) -> Batch
        /// Further training batches, drawn independently, for second derivatives.
        var further: (Int) -> Batch
        /// For observations; gives no gradient.
        var validation: (Int) -> Batch
        var validationBatches = 2
    }

    let space: SearchSpace
    let recipe: Recipe
    let supernet: Supernet
    let steps: Int
    let store = ParameterStore()
    let state: ArchitectureState
    var step = 0
    private(set) var architectureSteps = 0
    private(set) var trainingLoss = 0.0
    private let settings: SearchConfiguration.Training
    var weightOptimizer: AnyOptimizer { settings.optimizer }
    private let images: Images
    private let backend: Backend
    private let seed: RandomSource
    private let cost: ArchitectureCost?
    private var progress = Progress()
    private var cached: (active: [[Int]], programs: SupernetProblem.Programs)?
    var lastCheckpoint: Int?

    /// The part of the state that is neither weights nor architecture.
    private struct Progress: Codable {
        var fisher: FisherSchedule?
        var multipliers: [ADMM]?
        var baseline: Double?
    }

    init(
        _ space: SearchSpace, _ recipe: Recipe, settings: SearchConfiguration.Training, steps: Int, images: Images,
        cost: ArchitectureCost?, backend: Backend, random: RandomSource
    ) throws {
        (self.space, self.recipe, self.settings, self.steps) = (space, recipe, settings, steps)
        (self.images, self.cost, self.backend, seed) = (images, cost, backend, random)
        supernet = Supernet(space, normalisesNodes: recipe.relaxation == .clamped)
        state = try ArchitectureState(space, recipe, random: random.fork("architecture"))
        if case .fisher(let frequency) = recipe.schedule { progress.fisher = FisherSchedule(frequency: frequency) }
    }

    // MARK: The loop

    /// One weight step, preceded by an architecture step when that is due.
    func advance() throws {
        let isDue = isArchitectureStepDue()
        if recipe.schedule == .joint {
            try jointStep()
        } else {
            if isDue { try architectureStep() }
            try weightStep()
        }
        if state.prune() { cached = nil }
        step += 1
    }

    private var share: Double { steps > 0 ? Double(step) / Double(steps) : 0 }
    private var stepRandom: RandomSource { seed.fork("step").fork(step) }
    private var relaxation: Relaxation { Relaxation(recipe.relaxation, progress: share) }
    private var noise: [[Double]] { state.noise(stepRandom.fork("noise")) }
    private var rate: Double { settings.rate.value(at: step, of: steps) }
    private var architectureRate: Double {
        recipe.architecture.rate.value(at: step, of: steps)
            * recipe.architecture.scale(steps: recipe.architectureSteps(of: steps))
    }

    private func isArchitectureStepDue() -> Bool {
        switch recipe.schedule {
        case .weightsOnly, .joint: return false
        case .alternating(let weightSteps, let warmUp): return share >= warmUp && (step + 1).isMultiple(of: weightSteps)
        case .fisher: return progress.fisher?.isArchitectureStepDue() ?? false
        }
    }

    private func programs(_ active: [[Int]]) throws -> SupernetProblem.Programs {
        if let cached, cached.active == active { return cached.programs }
        let form = try supernet.buildMixture(
            batch: settings.batch, .training(softTargets: true), active: active
        ).graph
        try store.prepare(for: form, random: seed.fork("initial"))
        let sites = zip(space.sites, active).filter { !$1.isEmpty }.map(\.0.site)
        let made = SupernetProblem.Programs(form, sites: sites, store: store, backend: backend)
        // The graph of a pair is of use for one step alone.
        if active == state.active { cached = (active, made) }
        return made
    }

    /// Rows of the sites that have an input, cut to the alternatives that run.
    private func cut(_ rows: [[Double]], _ active: [[Int]]) -> [[Double]] {
        zip(rows, active).filter { !$1.isEmpty }.map { row, active in active.map { row[$0] } }
    }

    private func spread(_ rows: [[Double]], _ active: [[Int]]) -> [[Double]] {
        var source = rows.makeIterator()
        return zip(space.sites, active).map { site, active in
            var row = [Double](repeating: 0, count: site.alternatives.count)
            if !active.isEmpty, let values = source.next() {
                for (index, value) in zip(active, values) { row[index] = value }
            }
            return row
        }
    }

    private func require(
        _ loss: Double, _ program: MixtureStep, _ batch: Batch, _ mixture: [[Double]], _ what: String
    ) throws {
        guard !loss.isFinite else { return }
        let culprit = try program.firstNonFinite(batch, mixture: mixture, random: stepRandom.fork("dropout"))
        throw failure(what, culprit)
    }

    private func failure(_ what: String, _ culprit: String?) -> TrainingError {
        let saved = lastCheckpoint.map { "the last checkpoint is of step \($0)" } ?? "no checkpoint was written"
        return TrainingError(
            .nonFinite,
            "step \(step): \(what) is not a finite number\(culprit.map { ", first in \($0)" } ?? ""); \(saved). "
                + "Nothing was changed by this step. Lower the learning rate, or clip the gradients.", step: step)
    }

    // MARK: Weights

    func weightStep() throws {
        let batch = images.training(step)
        if recipe.relaxation.runsPaths {
            var random = stepRandom.fork("path")
            let path = Architecture(choices: state.probabilities.map { random.categorical($0) })
            let form = try supernet.build(path, batch: settings.batch, .training(softTargets: true)).graph
            try store.prepare(for: form, random: seed.fork("initial"))
            let network = try NetworkStep(form, store: store, backend: backend)
            try network.run(batch, random: stepRandom.fork("dropout"))
            guard network.loss.isFinite else {
                throw failure("the loss", try network.firstNonFinite(batch, random: stepRandom.fork("dropout")))
            }
            try update(network.gradients, loss: Double(network.loss))
        } else {
            let program = try programs(state.active).step(.weights)
            let mixture = cut(state.mixture(relaxation, noise), state.active)
            try program.run(batch, mixture: mixture, random: stepRandom.fork("dropout"))
            try require(program.loss, program, batch, mixture, "the loss")
            try update(program.weightGradients, loss: program.loss)
        }
    }

    private func update(_ gradients: [ParameterGradient], loss: Double) throws {
        let norm = gradients.globalNorm
        guard norm.isFinite else { throw failure("the gradient", nil) }
        progress.fisher?.observe(norm * norm)
        settings.optimizer.step(gradients, rate: rate, norm: norm, clip: settings.clip)
        trainingLoss = step == 0 ? loss : trainingLoss + 0.05 * (loss - trainingLoss)
    }

    /// Weights and architecture by one pass over one batch.
    private func jointStep() throws {
        let batch = images.training(step), relaxation = relaxation, noise = noise
        let program = try programs(state.active).step(.both)
        let mixture = state.mixture(relaxation, noise)
        let running = cut(mixture, state.active)
        try program.run(batch, mixture: running, random: stepRandom.fork("dropout"))
        try require(program.loss, program, batch, running, "the loss")
        let gradient = spread(program.mixtureGradient, state.active)
        let loss = program.loss
        try update(program.weightGradients, loss: loss)
        try move(loss: loss, gradient, mixture, relaxation, noise)
    }

    // MARK: Architecture

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
    private func move(
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

    // MARK: What it has found

    /// The weights that the discretizer reads, and what it takes now; `nil` at edges that it drops.
    var chosen: (weights: [[Double]], choices: [Int?]) {
        let weights = state.probabilities
        guard case .discretized(let discretizer) = recipe.selection else {
            return (weights, weights.map { argmax($0) })
        }
        return (weights, discretizer.choose(weights, space.layout))
    }

    /// What the discretizer takes now.
    var architecture: Architecture { Architecture(choices: chosen.choices.map { $0 ?? 0 }) }

    /// Looks at the state: changes nothing.
    func observe() throws -> Observation {
        let (weights, choices) = chosen
        let leaders = zip(space.sites, weights).map { site, row in
            let best = argmax(row)
            return Observation.Leader(site: site.site, alternative: site.alternatives[best], weight: row[best])
        }
        let skips = choices.enumerated().filter { site, choice in choice.map { space.isSkip(site, $0) } ?? false }
        let vertex = zip(space.sites, choices).map { site, choice in
            site.alternatives.indices.map { $0 == choice ? 1.0 : 0 }
        }
        // Sampled relaxations are judged by samples, as they are trained.
        let mixture = state.mixture(relaxation, state.noise(stepRandom.fork("observation")))
        let relaxed = try judge(mixture), discrete = try judge(vertex)
        return Observation(
            step: step, steps: steps, architectureSteps: architectureSteps, entropy: state.entropy,
            skipShare: Double(skips.count) / Double(max(1, choices.filter { $0 != nil }.count)), leaders: leaders,
            trainingLoss: trainingLoss, validationLoss: relaxed.loss, validationAccuracy: relaxed.accuracy,
            discretizationGap: discrete.loss - relaxed.loss, expectedCost: cost.map { $0.table(state.probabilities) })
    }

    /// Loss and accuracy of a mixture on validation batches, normalised by their own statistics.
    func judge(_ mixture: [[Double]]) throws -> (loss: Double, accuracy: Double) {
        let active = mixture.indices.map { site in
            let used = mixture[site].indices.filter { mixture[site][$0] != 0 }
            return state.active[site].isEmpty || used.allSatisfy(state.active[site].contains)
                ? state.active[site] : Array(space.sites[site].alternatives.indices)
        }
        let program = try programs(active).step(.none)
        var loss = 0.0, accuracy = 0.0
        for index in 0..<images.validationBatches {
            let batch = images.validation(index)
            try program.run(batch, mixture: cut(mixture, active), random: seed.fork("judging"))
            loss += program.loss / Double(images.validationBatches)
            accuracy += program.accuracy(batch) / Double(images.validationBatches)
        }
        return (loss, accuracy)
    }

    // MARK: Checkpoints

    private struct Saved: Codable {
        var step: Int
        var architectureSteps: Int
        var trainingLoss: Double
        var active: [[Int]]
        var progress: Progress
        var recipe: Recipe
        var steps: Int
    }

    /// Everything the search needs to go on, as of now.
    func checkpoint() throws -> Checkpoint {
        var checkpoint = Checkpoint(step: step)
        checkpoint.tensors["weights"] = store.snapshot()
        checkpoint.tensors["optimizer"] = store.optimizerState(settings.optimizer)
        checkpoint.tensors["architecture"] = state.store.snapshot()
        checkpoint.tensors["architecture-optimizer"] = state.store.optimizerState(recipe.architecture.optimizer)
        try checkpoint.store(
            Saved(
                step: step, architectureSteps: architectureSteps, trainingLoss: trainingLoss, active: state.active,
                progress: progress, recipe: recipe, steps: steps), as: "relaxed-search")
        return checkpoint
    }

    /// Goes on from a checkpoint of the same search.
    ///
    /// - Throws: ``SearchError`` when it is of another one.
    func restore(_ checkpoint: Checkpoint) throws {
        let saved: Saved = try checkpoint.value(of: "relaxed-search")
        guard saved.recipe == recipe, saved.steps == steps, let weights = checkpoint.tensors["weights"],
            let optimizer = checkpoint.tensors["optimizer"], let architecture = checkpoint.tensors["architecture"],
            let moments = checkpoint.tensors["architecture-optimizer"]
        else {
            throw SearchError(.resume, "the checkpoint of step \(checkpoint.step) is of a search with other settings")
        }
        try store.load(weights)
        try store.restoreOptimizer(optimizer, settings.optimizer)
        try state.store.restore(architecture)
        try state.store.restoreOptimizer(moments, recipe.architecture.optimizer)
        state.restore(active: saved.active)
        (step, architectureSteps, trainingLoss, progress) = (
            saved.step, saved.architectureSteps, saved.trainingLoss, saved.progress
        )
        (cached, lastCheckpoint) = (nil, saved.step)
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
