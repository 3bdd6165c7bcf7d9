import CodeGeneration
import Hardware
import IR
import Spaces
import Training

/// The phases up to the winner.
extension SearchRun {
    /// The constraints that need no timing, cheap ones first.
    var cheapConstraints: [Constraint] {
        let (limits, costs) = (configuration.limits, costs)
        var constraints: [Constraint] = []
        if let limit = limits.macs {
            constraints.append(Constraint("macs", atMost: limit, .macs, price: 1) { try costs.figures($0).macs })
        }
        if let limit = limits.peakMemory {
            constraints.append(Constraint("peak-memory", atMost: limit, .bytes, price: 10) { try costs.arena($0) })
        }
        if let limit = limits.flash {
            let ratio = state.codeRatio ?? 0
            constraints.append(
                Constraint("flash", atMost: limit, .bytes, price: 10) {
                    try costs.estimatedFlash($0, codeRatio: ratio)
                })
        }
        return constraints
    }

    /// The latency that the model predicts, limited; `margin` keeps a distance for the model's error.
    private func latencyConstraint(_ estimator: LatencyEstimator, margin: Double) -> Constraint? {
        guard let limit = configuration.limits.latency else { return nil }
        let costs = costs
        return Constraint("latency", atMost: limit * (1 - margin), .milliseconds, price: 2) {
            estimator.predict(try costs.figures($0).features)
        }
    }

    /// All constraints, with a margin for the latency model's mean error.
    func constraints() -> Constraints {
        guard let estimator = state.estimator else { return Constraints(cheapConstraints) }
        let margin = min(estimator.heldOut.heldOutError, 0.1)
        return Constraints(cheapConstraints + [latencyConstraint(estimator, margin: margin)].compactMap { $0 })
    }

    // MARK: Latency model

    func fitLatency() throws {
        if configuration.limits.flash != nil { try fitCodeSize() }
        let cheap = Constraints(cheapConstraints)
        var draws = random.fork("latency")
        let cheapest = try cheap.requireFeasible(alphabet: space.alphabet, space: space.name, using: &draws)
        var candidates = [cheapest]
        let uniform = UniformSampler(alphabet: space.alphabet)
        for _ in 0..<100 * configuration.latencySamples where candidates.count < configuration.latencySamples {
            let candidate = uniform.sample(using: &draws)
            if !candidates.contains(candidate), try cheap.allow(candidate) { candidates.append(candidate) }
        }
        try measure(candidates)
        try fit()

        try settleFeasibility(from: cheapest)
        try logMeasured()
    }

    /// How much code the target's compiler makes of a byte of C; the most of a few candidates.
    private func fitCodeSize() throws {
        var draws = random.fork("code size")
        let uniform = UniformSampler(alphabet: space.alphabet)
        let candidates = (0..<4).map { _ in uniform.sample(using: &draws) }
        state.codeRatio = try candidates.enumerated().map { index, candidate in
            try checkCancellation()
            report(index, of: candidates.count, "compiling for the size of the code")
            return try costs.codeRatio(candidate, profiler.builder)
        }.max()
    }

    /// Makes sure that the latency limit can be met, by measuring what the model takes for the fastest network.
    ///
    /// A model says little outside of what it was fitted to, so its favourite is measured and joins the fit until it
    /// names one that was measured already.
    private func settleFeasibility(from start: Architecture) throws {
        guard let limit = configuration.limits.latency else { return }
        let cheap = Constraints(cheapConstraints)
        for _ in 0..<4 {
            guard state.measured.allSatisfy({ $0.latency > limit }), let estimator = state.estimator else { return }
            let (favourite, _) = try Constraints.descend(from: start, space.alphabet, until: -.infinity) { candidate in
                try cheap.allow(candidate) ? estimator.predict(costs.figures(candidate).features) : .infinity
            }
            if state.measured.contains(where: { $0.architecture == favourite }) { break }
            try measure([favourite])
            try fit()
        }
        guard let fastest = state.measured.min(by: { $0.latency < $1.latency }), fastest.latency > limit else { return }
        throw InfeasibleError(
            space: space.name,
            figures: [.init(name: "latency", limit: limit, cheapest: fastest.latency, unit: .milliseconds)],
            architecture: fastest.architecture)
    }

    private func fit() throws {
        guard state.measured.count > 2 else { return }
        state.estimator = try LatencyEstimator(state.measured)
    }

    /// Compiles candidates from their own C and times them in turns.
    private func measure(_ candidates: [Architecture]) throws {
        var programs: [SourceProgram] = []
        for (index, candidate) in candidates.enumerated() {
            try checkCancellation()
            programs.append(SourceProgram(try costs.program(candidate)))
            report(index, of: 2 * candidates.count, "generating C")
        }
        _ = try profiler.builder.build(programs, as: .bench, jobs: configuration.threads)
        report(candidates.count, of: 2 * candidates.count, "timing \(candidates.count) programs on \(target.name)")
        for (candidate, figure) in zip(candidates, try profiler.measure(programs)) {
            state.measured.append(
                .init(architecture: candidate, features: try costs.figures(candidate).features, latency: figure.median))
        }
    }

    private func logMeasured() throws {
        guard let estimator = state.estimator else { return }
        for (measured, predicted) in zip(state.measured, estimator.heldOutPredictions) {
            try add(.calibration, measured.architecture, predicted: predicted, measured: measured.latency)
        }
        let error = estimator.heldOut
        report(
            1, of: 1, "held-out error \(decimal(100 * error.heldOutError, 1)) %, Kendall \(decimal(error.kendall, 2))")
    }

    // MARK: Supernet

    /// Draws paths for the supernet: legal ones, equally often from each range of latency.
    private func pathSampler() throws -> any Sampler {
        let legal = LegalSampler(alphabet: space.alphabet, constraints: constraints())
        guard configuration.costBins > 1, let estimator = state.estimator else { return legal }
        let costs = costs
        let predicted: @Sendable (Architecture) -> Double = { architecture in
            (try? costs.figures(architecture)).map { estimator.predict($0.features) } ?? .infinity
        }
        var draws = random.fork("cost bins")
        let sample = (0..<200).map { _ in predicted(legal.sample(using: &draws)) }
        let low = SampleStatistics.quantile(sample, 0.02), high = SampleStatistics.quantile(sample, 0.98)
        guard low < high else { return legal }
        return CostBinSampler(
            base: legal, bins: CostBinSampler.bins(low..<high, count: configuration.costBins), tries: 100,
            cost: predicted)
    }

    func trainSupernet() throws {
        let settings = configuration.supernet
        let supernet = Supernet(space)
        let sampler = try pathSampler()
        let batch = settings.batch
        let loader = try BatchLoader(
            splits.weights, batchSize: batch, augmentation: settings.augmentation,
            random: random.fork("supernet images"))
        let steps = settings.steps(images: splits.weights.count)
        let trainer = try Trainer(
            .sampled { _, random in
                var random = random
                return try supernet.build(sampler.sample(using: &random), batch: batch, .training(softTargets: true))
                    .graph
            },
            store: store, loader: loader,
            configuration: TrainingConfiguration(
                steps: steps, optimizer: settings.optimizer, rate: settings.rate, clip: settings.clip,
                statisticsMomentum: nil),
            backend: backend, random: random.fork("supernet"))
        try run(trainer, part: "supernet", steps: steps)
    }

    /// Runs a trainer to its end, from its latest checkpoint if there is one.
    func run(_ trainer: Trainer<AnyOptimizer>, part: String, steps: Int) throws {
        trainer.checkpoints = CheckpointPolicy(
            checkpoints(of: part), every: max(100, steps / 10), resumption: "Resume the run in \(folder.path).")
        trainer.cancellation = cancellation
        trainer.onProgress = { [self] now in
            let accuracy = decimal(100 * now.accuracy, 1), speed = Int(now.imagesPerSecond)
            report(
                now.step, of: now.steps,
                "loss \(decimal(now.loss, 3)), training accuracy \(accuracy) %, \(speed) images/s, "
                    + "peak memory \(now.peakMemory >> 20) MiB",
                remaining: now.remaining / .seconds(1))
        }
        if let found = try trainer.resume() { report(refused: found.refused) }
        try trainer.run()
    }

    /// The supernet's weights, when this process did not train them.
    func loadSupernet() throws {
        guard store.count == 0 else { return }
        guard let weights = try latestCheckpoint(of: "supernet")?.tensors["weights"] else {
            throw SearchError(.resume, "\(folder.checkpoints)/supernet: holds no whole checkpoint")
        }
        try store.load(weights)
    }

    // MARK: Evolution

    func evolve() throws {
        try loadSupernet()
        let constraints = constraints(), judge = judge(Supernet(space))
        var evolution =
            state.evolution
            ?? Evolution(alphabet: space.alphabet, settings: configuration.evolution, random: random.fork("evolution"))
        let total = configuration.evolution.population * configuration.evolution.generations
        while let candidate = try evolution.next(within: constraints) {
            let accuracy = try judge.accuracy(of: candidate)
            evolution.record(score: accuracy)
            let predicted = try state.estimator?.predict(costs.figures(candidate).features)
            try add(.candidate, candidate, accuracy: accuracy, predicted: predicted)
            state.evolution = evolution
            let count = evolution.evaluated.count
            if count.isMultiple(of: 25) { try saveState() }
            try checkCancellation()
            report(
                count, of: max(total, count),
                "generation \(evolution.generation), best \(decimal(100 * (evolution.best?.score ?? 0), 2)) %")
        }
        guard evolution.best != nil else { throw SearchError(.failed, "no candidate could be evaluated") }
        state.evolution = evolution
        state.leaders = evolution.top(4 * configuration.finalists).map {
            .init(architecture: $0.architecture, score: $0.score, accuracy: $0.score)
        }
    }

    func judge(_ supernet: Supernet) -> CandidateJudge {
        CandidateJudge(
            supernet: supernet, store: store, backend: backend, weights: splits.weights,
            validation: splits.validation.prefix(configuration.candidateImages),
            batches: configuration.recalibrationBatches,
            batch: configuration.recalibrationBatch, random: random.fork("recalibration"))
    }

    // MARK: Finalists

    /// Measures the leaders; the most accurate of those within the limit wins.
    func chooseWinner() throws {
        let leaders = state.leaders
        guard !leaders.isEmpty else { throw SearchError(.resume, "the state holds no search") }
        for start in stride(from: 0, to: leaders.count, by: configuration.finalists) {
            try checkCancellation()
            let group = leaders[start..<min(start + configuration.finalists, leaders.count)]
            var careful = profiler
            careful.plan = MeasuringPlan()
            let programs = try group.map { SourceProgram(try costs.program($0.architecture)) }
            _ = try profiler.builder.build(programs, as: .bench, jobs: configuration.threads)
            report(start, of: leaders.count, "timing \(group.count) finalists on \(target.name)")
            let figures = try careful.measure(programs, anew: true)
            var best: SearchState.Leader?
            for ((leader, program), figure) in zip(zip(group, programs), figures) {
                let predicted = try state.estimator?.predict(costs.figures(leader.architecture).features)
                try add(
                    .finalist, leader.architecture, accuracy: leader.accuracy, predicted: predicted,
                    measured: figure.median)
                var fits = figure.median <= configuration.limits.latency ?? .infinity
                if let limit = configuration.limits.flash {
                    fits = try fits && Double(profiler.builder.size(of: program).flash) <= limit
                }
                if fits, leader.score > best?.score ?? -.infinity { best = leader }
            }
            if let best {
                state.winner = best.architecture
                state.winnerValidation = best.accuracy
                return
            }
        }
        throw SearchError(
            .failed,
            "none of the \(leaders.count) best candidates kept the limits when it was compiled and timed. "
                + "Raise the limits, or the number of timed candidates.")
    }
}

/// Uniform architectures within constraints.
struct LegalSampler: Sampler {
    let alphabet: [Int]
    let constraints: Constraints

    /// Takes the last draw when none of ten thousand is legal; a search makes sure before that one is.
    func sample(using random: inout RandomSource) -> Architecture {
        let uniform = UniformSampler(alphabet: alphabet)
        var candidate = uniform.sample(using: &random)
        for _ in 0..<10_000 {
            if (try? constraints.allow(candidate)) == true { break }
            candidate = uniform.sample(using: &random)
        }
        return candidate
    }
}

/// Judges architectures by the weights they inherit, with normalisation statistics of their own.
struct CandidateJudge {
    let supernet: Supernet
    let store: ParameterStore
    let backend: Backend
    let weights: DataSplit<Split.Weights>
    let validation: DataSplit<Split.Validation>
    let batches: Int
    let batch: Int
    let random: RandomSource

    func accuracy(of architecture: Architecture) throws -> Double {
        let evaluator = Evaluator(backend: backend)
        let calibration = try supernet.build(architecture, batch: batch, .calibration).graph
        try store.prepare(for: calibration, random: random.fork("never trained"))
        let statistics = try evaluator.recalibrated(
            calibration, store: store, on: weights, batches: batches, random: random)
        let inference = try supernet.build(architecture, batch: min(200, validation.count), .inference).graph
        return try evaluator.evaluate(inference, store: store, statistics: statistics, on: validation).accuracy
    }
}
