import Training

/// Everything that decides what a search finds: stored with the run, and compared when it is resumed.
public struct SearchConfiguration: Codable, Hashable, Sendable {
    /// Upper limits; those left out do not constrain.
    public struct Limits: Codable, Hashable, Sendable {
        /// Milliseconds of one inference, the median on the target.
        public var latency: Double?
        /// Bytes of working memory: the arena of the generated C.
        public var peakMemory: Double?
        /// Bytes of weights, constants and code: what the compiled network takes up on the target.
        public var flash: Double?
        public var macs: Double?

        public init(latency: Double? = nil, peakMemory: Double? = nil, flash: Double? = nil, macs: Double? = nil) {
            (self.latency, self.peakMemory, self.flash, self.macs) = (latency, peakMemory, flash, macs)
        }
    }

    /// How a network or supernet is trained.
    public struct Training: Codable, Hashable, Sendable {
        public var epochs: Double
        public var batch: Int
        public var optimizer: SGD
        public var rate: RateSchedule
        public var clip: Double?
        public var augmentation: Augmentation

        public init(
            epochs: Double, batch: Int, optimizer: SGD, rate: RateSchedule, clip: Double? = nil,
            augmentation: Augmentation
        ) {
            (self.epochs, self.batch, self.optimizer) = (epochs, batch, optimizer)
            (self.rate, self.clip, self.augmentation) = (rate, clip, augmentation)
        }

        func steps(images: Int) -> Int { max(1, Int((epochs * Double(images / batch)).rounded())) }
    }

    /// The recipe, `spos`.
    public var algorithm = "spos"
    /// The name of a space, or the path of its file.
    public var space = "mbconv-28"
    /// The name of a data set, and its folder where it is not in the usual place.
    public var data = "fashion-mnist"
    public var dataFolder: String?
    /// The name of a target, or the path of its file.
    public var target = "host"
    public var limits = Limits()
    public var seed: UInt64 = 1
    public var threads = 2
    /// Bytes that the values of a training step may take; no limit where left out.
    public var trainingMemory: Int?

    /// Images that train; all that are left by those that judge, where this says nothing.
    public var trainingImages: Int?
    /// Training images that only judge candidates; they take no part in training the supernet.
    public var validationImages = 5000
    public var supernet = Training(
        epochs: 8, batch: 96, optimizer: SGD(momentum: 0.9, nesterov: true, weightDecay: 4e-5, decays: .matricesOnly),
        rate: .warmUp(steps: 50, then: .linear(from: 0.12)), clip: 5, augmentation: Augmentation(flip: true))
    /// Equal ranges of cost that paths are drawn from in turn; 1 draws from all legal ones alike.
    public var costBins = 4
    /// Candidates that are compiled and timed to fit the latency model.
    public var latencySamples = 24
    public var evolution = Evolution.Settings()
    /// Batches of training images that give a candidate its normalisation statistics, and their size.
    public var recalibrationBatches = 8
    public var recalibrationBatch = 128
    /// Validation images that a candidate is judged on.
    public var candidateImages = 2000
    /// Leaders that are measured at a time.
    public var finalists = 5
    public var retraining = Training(
        epochs: 10, batch: 96, optimizer: SGD(momentum: 0.9, nesterov: true, weightDecay: 1e-4, decays: .matricesOnly),
        rate: .warmUp(steps: 100, then: .cosine(from: 0.12)), clip: 5,
        augmentation: Augmentation(flip: true, labelSmoothing: 0.05))
    /// Whether a retrained network is kept out: the run ends with the finalists.
    public var stopsBeforeRetraining = false

    public init() {}

    /// The settings in words, for the report.
    var summary: [[String]] {
        let flash =
            limits.flash == nil
            ? []
            : [
                [
                    "Flash",
                    "weights, constants and code in the object files of \(target); while candidates are compared, the code is "
                        + "estimated from the length of their C, by the largest ratio among candidates that were compiled; "
                        + "finalists and the winner are compiled",
                ]
            ]
        return [
            ["Space", space], ["Data", "\(data): \(validationImages) training images held out to judge candidates"],
            [
                "Supernet",
                "\(decimal(supernet.epochs, 1)) epochs of single paths, batch \(supernet.batch), drawn uniformly"
                    + (costBins > 1 ? " from \(costBins) ranges of latency" : "") + " among those within the limits",
            ],
            [
                "Evolution",
                "population \(evolution.population), \(evolution.generations) generations, \(evolution.parents) parents, "
                    + "\(evolution.mutants) mutants (p = \(evolution.mutationProbability)), \(evolution.crossovers) crossovers",
            ],
            [
                "Candidates",
                "inherited weights, normalisation recalibrated on \(recalibrationBatches * recalibrationBatch) training images, "
                    + "judged on \(candidateImages) held-out images",
            ],
            [
                "Latency",
                "\(latencySamples) candidates compiled from their own C and timed on \(target); every finalist timed again",
            ],
        ] + flash + [
            ["Retraining", "from scratch, \(decimal(retraining.epochs, 1)) epochs, batch \(retraining.batch)"],
            ["Seed, threads", "\(seed), \(threads)"],
        ]
    }
}

extension SearchConfiguration {
    /// Ready-made settings by name: `full` for a thorough search, `demo` for minutes on two cores, `quick` to see in
    /// seconds that everything works, with a network that learned little.
    public static let presets: [(name: String, configuration: SearchConfiguration)] = [
        ("full", SearchConfiguration()), ("demo", demo), ("quick", quick),
    ]

    /// - Throws: ``SearchError`` naming the presets there are.
    public static func preset(_ name: String) throws(SearchError) -> SearchConfiguration {
        guard let found = presets.first(where: { $0.name == name }) else {
            throw SearchError(
                .configuration, "unknown preset '\(name)'; known: \(presets.map(\.name).joined(separator: ", ")).")
        }
        return found.configuration
    }

    /// Sized so that search and retraining on Fashion-MNIST take less than eight minutes on two cores.
    private static var demo: SearchConfiguration {
        var configuration = SearchConfiguration()
        configuration.supernet.epochs = 4
        configuration.latencySamples = 16
        configuration.evolution.population = 30
        configuration.evolution.generations = 6
        configuration.evolution.parents = 8
        configuration.evolution.mutants = 15
        configuration.evolution.crossovers = 15
        configuration.recalibrationBatches = 4
        configuration.candidateImages = 1500
        configuration.finalists = 4
        configuration.retraining.epochs = 9
        return configuration
    }

    /// A few steps of every phase.
    private static var quick: SearchConfiguration {
        var configuration = SearchConfiguration()
        configuration.trainingImages = 1920
        configuration.validationImages = 400
        configuration.supernet.epochs = 1
        configuration.supernet.batch = 64
        configuration.supernet.rate = .linear(from: 0.05)
        configuration.costBins = 1
        configuration.latencySamples = 4
        configuration.evolution.population = 6
        configuration.evolution.generations = 2
        configuration.evolution.parents = 3
        configuration.evolution.mutants = 3
        configuration.evolution.crossovers = 2
        configuration.recalibrationBatches = 2
        configuration.recalibrationBatch = 64
        configuration.candidateImages = 200
        configuration.finalists = 2
        configuration.retraining.epochs = 1
        configuration.retraining.batch = 64
        configuration.retraining.rate = .cosine(from: 0.1)
        return configuration
    }
}
