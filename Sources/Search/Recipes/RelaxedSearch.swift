import IR
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
    var architectureSteps = 0
    private(set) var trainingLoss = 0.0
    let settings: SearchConfiguration.Training
    var weightOptimizer: AnyOptimizer { settings.optimizer }
    let images: Images
    private let backend: Backend
    let seed: RandomSource
    let cost: ArchitectureCost?
    var progress = Progress()
    private var cached: (active: [[Int]], programs: SupernetProblem.Programs)?
    var lastCheckpoint: Int?

    /// The part of the state that is neither weights nor architecture.
    struct Progress: Codable {
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

    var share: Double { steps > 0 ? Double(step) / Double(steps) : 0 }
    var stepRandom: RandomSource { seed.fork("step").fork(step) }
    var relaxation: Relaxation { Relaxation(recipe.relaxation, progress: share) }
    var noise: [[Double]] { state.noise(stepRandom.fork("noise")) }
    var rate: Double { settings.rate.value(at: step, of: steps) }
    var architectureRate: Double {
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

    func programs(_ active: [[Int]]) throws -> SupernetProblem.Programs {
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
    func cut(_ rows: [[Double]], _ active: [[Int]]) -> [[Double]] {
        zip(rows, active).filter { !$1.isEmpty }.map { row, active in active.map { row[$0] } }
    }

    func spread(_ rows: [[Double]], _ active: [[Int]]) -> [[Double]] {
        var source = rows.makeIterator()
        return zip(space.sites, active).map { site, active in
            var row = [Double](repeating: 0, count: site.alternatives.count)
            if !active.isEmpty, let values = source.next() {
                for (index, value) in zip(active, values) { row[index] = value }
            }
            return row
        }
    }

    func require(
        _ loss: Double, _ program: MixtureStep, _ batch: Batch, _ mixture: [[Double]], _ what: String
    ) throws {
        guard !loss.isFinite else { return }
        let culprit = try program.firstNonFinite(batch, mixture: mixture, random: stepRandom.fork("dropout"))
        throw failure(what, culprit)
    }

    func failure(_ what: String, _ culprit: String?) -> TrainingError {
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
        settings.optimizer.step(gradients, rate: rate, norm: norm, clip: settings.clip, pool: backend.pool)
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
