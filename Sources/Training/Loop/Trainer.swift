import Foundation
public import IR

/// Where the network of each step comes from, in its training form (see ``Graph/trainingForm()``).
public enum NetworkSource {
    /// The same network in every step.
    case fixed(Graph)
    /// A network drawn anew for each step, as a pure function of the step and its random source. Parameters that the
    /// store does not hold are made when first drawn.
    case sampled((Int, RandomSource) throws -> Graph)
}

/// Trains the parameters of a store by gradient steps, with checkpoints from which it goes on bit-identically.
///
/// Everything random in a step is a function of the seed and the step's number, so the state of a run is its step, the
/// parameters, the optimizer's arrays and the averages, nothing else.
public final class Trainer<O: Optimizer> {
    public let store: ParameterStore
    public let configuration: TrainingConfiguration<O>
    public let loader: BatchLoader<Split.Weights>
    /// The average of the weights, where the configuration asks for one.
    public let average: WeightAverage?
    /// Steps done.
    public internal(set) var step = 0
    public var checkpoints: CheckpointPolicy?
    public var cancellation: Cancellation?
    /// Called after every step.
    public var onProgress: ((TrainingProgress) -> Void)?
    /// Further documents for checkpoints, such as a search's state; they come back from ``resume()``.
    public var documents: () throws -> [String: [UInt8]] = { [:] }

    private let source: NetworkSource
    private let backend: Backend
    let seed: RandomSource
    private var fixed: NetworkStep?
    private let gradientMean = GradientMean()
    private var lastCheckpoint: Int?
    private var recent: (loss: Double, accuracy: Double)?
    private var pace = Pace()

    /// - Throws: ``ShapeError`` when a fixed network is no training form, or the store holds a parameter of another shape.
    public init(
        _ source: NetworkSource, store: ParameterStore, loader: BatchLoader<Split.Weights>,
        configuration: TrainingConfiguration<O>, backend: Backend, random: RandomSource
    ) throws {
        self.source = source
        self.store = store
        self.loader = loader
        self.configuration = configuration
        self.backend = backend
        seed = random
        average = configuration.averageDecay.map { WeightAverage(decay: $0) }
        if case .fixed(let network) = source {
            try prepare(network)
            fixed = try NetworkStep(network, store: store, backend: backend)
        }
    }

    /// Runs the steps that are left.
    ///
    /// - Throws: ``TrainingError`` when the loss is no number or the run was cancelled; ``StorageError`` when a
    ///   checkpoint cannot be written.
    public func run() throws {
        pace = Pace()
        while step < configuration.steps {
            if cancellation?.isRequested == true { throw try cancel() }
            try advance()
            if let checkpoints, step % checkpoints.interval == 0 || step == configuration.steps { try saveCheckpoint() }
        }
    }

    /// Does one step.
    public func advance() throws {
        let network = try network(), parts = configuration.microBatches
        var (loss, correct, images) = (0.0, 0, 0)
        for part in 0..<parts {
            let batch = loader.batch(step * parts + part), random = stepRandom.fork("dropout")
            try network.run(batch, random: parts == 1 ? random : random.fork(part), progress: progress)
            guard network.loss.isFinite else { throw try failure(network, batch) }
            loss += Double(network.loss) / Double(parts)
            correct += network.correct(in: batch)
            images += batch.count
            if parts > 1 { gradientMean.add(network.gradients, share: 1 / Double(parts), isFirst: part == 0) }
            if part + 1 < parts, let momentum = configuration.statisticsMomentum {
                network.updateStatistics(momentum: momentum)
            }
        }
        let gradients = parts > 1 ? gradientMean.gradients : network.gradients
        let norm = gradients.globalNorm
        guard norm.isFinite else { throw try failure(network, loader.batch(step * parts)) }
        let rate = configuration.rate.value(at: step, of: configuration.steps)
        configuration.optimizer.step(gradients, rate: rate, norm: norm, clip: configuration.clip, pool: backend.pool)
        if let momentum = configuration.statisticsMomentum { network.updateStatistics(momentum: momentum) }
        average?.update(from: store)
        step += 1
        report(loss: loss, correct: correct, images: images, rate: rate, norm: norm)
    }

    private var stepRandom: RandomSource { seed.fork("step").fork(step) }
    private var progress: Double { Double(step) / Double(max(1, configuration.steps)) }

    private func network() throws -> NetworkStep {
        switch source {
        case .fixed(let network):
            if let fixed { return fixed }
            let made = try NetworkStep(network, store: store, backend: backend)
            fixed = made
            return made
        case .sampled(let draw):
            let network = try draw(step, stepRandom.fork("network"))
            try prepare(network)
            return try NetworkStep(network, store: store, backend: backend)
        }
    }

    private func prepare(_ network: Graph) throws(ShapeError) {
        try store.prepare(for: network, random: seed.fork("initial"))
        guard configuration.statisticsMomentum != nil else { return }
        for (name, output) in network.statisticsOutputs {
            let type = network.type(of: network.outputs[output])
            try store.add(name, shape: type.shape, kind: .statistic) {
                [Float](repeating: name.hasSuffix(Graph.FormName.variance) ? 1 : 0, count: type.count)
            }
        }
    }

    private func report(loss: Double, correct: Int, images: Int, rate: Double, norm: Double) {
        let now = (loss: loss, accuracy: Double(correct) / Double(max(images, 1)))
        // Averages over about the last twenty steps.
        recent =
            recent.map { ($0.loss + 0.05 * (now.loss - $0.loss), $0.accuracy + 0.05 * (now.accuracy - $0.accuracy)) }
            ?? now
        pace.count(images)
        onProgress?(
            TrainingProgress(
                step: step, steps: configuration.steps,
                epoch: (step * configuration.microBatches - 1) / loader.batchesPerEpoch, rate: rate,
                loss: recent?.loss ?? 0, accuracy: recent?.accuracy ?? 0, gradientNorm: norm,
                imagesPerSecond: pace.itemsPerSecond, remaining: pace.remaining(configuration.steps - step),
                peakMemory: PeakMemory.bytes))
    }

    private func failure(_ network: NetworkStep, _ batch: Batch) throws -> TrainingError {
        let culprit = try network.firstNonFinite(batch, random: stepRandom.fork("dropout"), progress: progress)
        let what = network.loss.isFinite ? "the gradient" : "the loss"
        let place = culprit.map { "first in \($0)" } ?? "only in the sum of squares of the gradients"
        let saved = lastCheckpoint.map { "the last checkpoint is of step \($0)" } ?? "no checkpoint was written"
        return TrainingError(
            .nonFinite,
            "step \(step): \(what) is not a finite number, \(place); \(saved). No parameter was changed by this step. "
                + "Lower the learning rate, or clip the gradients.", step: step)
    }

    private func cancel() throws -> TrainingError {
        guard let checkpoints else { return TrainingError(.cancelled, "stopped after step \(step)", step: step) }
        let place = try saveCheckpoint()
        return TrainingError(
            .cancelled, "stopped after step \(step); checkpoint \(place). \(checkpoints.resumption)", step: step)
    }

    @discardableResult
    private func saveCheckpoint() throws -> String {
        guard let checkpoints else { return "" }
        let place = try checkpoints.store.save(checkpoint())
        lastCheckpoint = step
        return place.path
    }

    func didResume(at step: Int, recent: (loss: Double, accuracy: Double)?) {
        self.step = step
        self.recent = recent
        lastCheckpoint = step
    }

    var recentMetrics: (loss: Double, accuracy: Double)? { recent }
}

/// Measures how fast a run is.
struct Pace {
    private let clock = ContinuousClock()
    private var last: ContinuousClock.Instant
    /// Seconds for a step and items in it, averaged over recent steps.
    private var seconds: Double?
    private var items = 0.0

    init() { last = clock.now }

    mutating func count(_ items: Int) {
        let now = clock.now
        let parts = (now - last).components
        let elapsed = Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
        last = now
        seconds = seconds.map { $0 + 0.1 * (elapsed - $0) } ?? elapsed
        self.items = Double(items)
    }

    var itemsPerSecond: Double { seconds.map { $0 > 0 ? items / $0 : 0 } ?? 0 }
    func remaining(_ steps: Int) -> Duration { .seconds((seconds ?? 0) * Double(steps)) }
}
