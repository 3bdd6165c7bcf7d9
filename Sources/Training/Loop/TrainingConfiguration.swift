/// The settings of a training run that decide its result.
public struct TrainingConfiguration<O: Optimizer>: Codable, Hashable, Sendable {
    public var steps: Int
    public var optimizer: O
    public var rate: RateSchedule
    /// The largest global norm of the gradients.
    public var clip: Double?
    /// Decay of the average of the weights, if one is kept.
    public var averageDecay: Double?
    /// How fast running statistics follow the batches'; `nil` where they are recalibrated afterwards, as in supernets.
    public var statisticsMomentum: Double?
    /// Batches of the loader whose mean gradient makes one update: memory for one, the update of all. Batch
    /// normalisation takes the statistics of each by itself.
    public var microBatches: Int

    public init(
        steps: Int, optimizer: O, rate: RateSchedule, clip: Double? = nil, averageDecay: Double? = nil,
        statisticsMomentum: Double? = 0.1, microBatches: Int = 1
    ) {
        precondition(steps >= 0, "a run has no negative number of steps")
        precondition(microBatches > 0, "an update takes at least one batch")
        self.microBatches = microBatches
        self.steps = steps
        self.optimizer = optimizer
        self.rate = rate
        self.clip = clip
        self.averageDecay = averageDecay
        self.statisticsMomentum = statisticsMomentum
    }
}

/// When checkpoints are written.
public struct CheckpointPolicy: Sendable {
    public var store: CheckpointStore
    /// Steps between two.
    public var interval: Int
    /// What to tell a user who stopped the run, such as the command that resumes it.
    public var resumption: String

    public init(_ store: CheckpointStore, every interval: Int, resumption: String = "Run the same again to resume.") {
        precondition(interval > 0, "checkpoints need a positive interval")
        self.store = store
        self.interval = interval
        self.resumption = resumption
    }
}

/// How far a run is.
public struct TrainingProgress: Sendable {
    /// Steps done, and of how many.
    public var step: Int
    public var steps: Int
    public var epoch: Int
    public var rate: Double
    /// Loss and accuracy on the training images, averaged over recent steps.
    public var loss: Double
    public var accuracy: Double
    /// Norm of the step's gradient.
    public var gradientNorm: Double
    public var imagesPerSecond: Double
    public var remaining: Duration
    /// The most memory that the process ever had, in bytes.
    public var peakMemory: Int
}
