import IR

/// The part of a trainer's state that is no tensor.
private struct TrainerState<O: Optimizer>: Codable {
    var step: Int
    var configuration: TrainingConfiguration<O>
    var batchSize: Int
    var augmentation: Augmentation
    var random: RandomSource
    var loss: Double?
    var accuracy: Double?
}

extension Trainer {
    /// Everything the run needs to go on, as of now.
    public func checkpoint() throws -> Checkpoint {
        var checkpoint = Checkpoint(step: step, documents: try documents())
        checkpoint.tensors["weights"] = store.snapshot()
        checkpoint.tensors["optimizer"] = store.optimizerState(configuration.optimizer)
        if let average { checkpoint.tensors["average"] = average.snapshot() }
        try checkpoint.store(state, as: "trainer")
        return checkpoint
    }

    /// Goes on from a checkpoint of a run with the same configuration, seed and data.
    ///
    /// - Throws: ``TrainingError`` when it is of another run, ``StorageError`` or ``ShapeError`` when a part is missing
    ///   or does not fit. The trainer is not to be used then.
    public func restore(_ checkpoint: Checkpoint) throws {
        let saved: TrainerState<O> = try checkpoint.value(of: "trainer")
        var expected = state
        (expected.step, expected.loss, expected.accuracy) = (saved.step, saved.loss, saved.accuracy)
        let pairs: [(String, Bool)] = [
            ("configuration", saved.configuration == expected.configuration),
            ("batch size", saved.batchSize == expected.batchSize),
            ("augmentation", saved.augmentation == expected.augmentation), ("seed", saved.random == expected.random),
        ]
        let changed = pairs.filter { !$0.1 }.map(\.0)
        guard changed.isEmpty else {
            throw TrainingError(
                .mismatch,
                "the checkpoint of step \(saved.step) is of a run with another \(changed.joined(separator: " and ")). "
                    + "Resume with the same settings, or start anew in another folder.", step: saved.step)
        }
        try store.load(part("weights", of: checkpoint)) { name in
            let isStatistic = name.hasSuffix(Graph.FormName.mean) || name.hasSuffix(Graph.FormName.variance)
            return isStatistic ? .statistic : .weight
        }
        try store.restoreOptimizer(part("optimizer", of: checkpoint), configuration.optimizer)
        if let average { try average.restore(part("average", of: checkpoint), of: store) }
        let recent = saved.loss.flatMap { loss in saved.accuracy.map { (loss: loss, accuracy: $0) } }
        didResume(at: saved.step, recent: recent)
    }

    /// Goes on from the latest checkpoint that is whole.
    ///
    /// - Returns: The checkpoint with its documents, and why later ones were refused; `nil` when there is none.
    public func resume() throws -> (checkpoint: Checkpoint, refused: [StorageError])? {
        guard let found = try checkpoints?.store.latest() else { return nil }
        try restore(found.checkpoint)
        return found
    }

    private var state: TrainerState<O> {
        TrainerState(
            step: step, configuration: configuration, batchSize: loader.batchSize, augmentation: loader.augmentation,
            random: seed, loss: recentMetrics?.loss, accuracy: recentMetrics?.accuracy)
    }

    private func part(_ name: String, of checkpoint: Checkpoint) throws(StorageError) -> SafeTensors {
        guard let tensors = checkpoint.tensors[name] else {
            throw StorageError(
                .missing, "the checkpoint of step \(checkpoint.step) lacks it", file: name + ".safetensors")
        }
        return tensors
    }
}
