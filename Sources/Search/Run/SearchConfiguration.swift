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
        public var optimizer: AnyOptimizer
        public var rate: RateSchedule
        public var clip: Double?
        public var augmentation: Augmentation

        public init(
            epochs: Double, batch: Int, rule: Recipe.WeightRule, augmentation: Augmentation
        ) {
            (self.epochs, self.batch, self.augmentation) = (epochs, batch, augmentation)
            (optimizer, rate, clip) = (rule.optimizer, rule.rate, rule.clip)
        }

        func steps(images: Int) -> Int { max(1, Int((epochs * Double(images / batch)).rounded())) }
    }

    public var recipe = Recipe.spos
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
    /// What convolutions multiply in while networks are trained; `f32` where left out.
    public var trainingPrecision: ExecutionSettings.Precision?

    /// Images that train; all that are left by those that judge, where this says nothing.
    public var trainingImages: Int?
    /// Training images that only judge candidates; they take no part in training the supernet.
    public var validationImages = 5000
    public var supernet = Training(
        epochs: 8, batch: 96, rule: Recipe.spos.weights, augmentation: Augmentation(flip: true))
    /// How often a differentiable search is looked at.
    public var observations = 20
    /// Equal ranges of cost that paths are drawn from in turn; 1 draws from all legal ones alike.
    public var costBins = 4
    /// Candidates that are compiled and timed to fit the latency model.
    public var latencySamples = 24
    public var evolution = Evolution.Settings.guided
    /// Batches of training images that give a candidate its normalisation statistics, and their size.
    public var recalibrationBatches = 8
    public var recalibrationBatch = 128
    /// Validation images that a candidate is judged on.
    public var candidateImages = 2000
    /// Leaders that are measured at a time.
    public var finalists = 5
    public var retraining = Training(
        epochs: 10, batch: 96,
        rule: Recipe.WeightRule(
            optimizer: .sgd(SGD(momentum: 0.9, nesterov: true, weightDecay: 1e-4, decays: .matricesOnly)),
            rate: .warmUp(steps: 100, then: .cosine(from: 0.12)), clip: 5),
        augmentation: Augmentation(flip: true, labelSmoothing: 0.05))
    /// Whether a retrained network is kept out: the run ends with the finalists.
    public var stopsBeforeRetraining = false

    public init() {}

    /// The settings of a recipe: its space, and how its weights are trained.
    public init(_ recipe: Recipe) {
        self.recipe = recipe
        space = recipe.space
        supernet = Training(
            epochs: supernet.epochs, batch: recipe.isDifferentiable ? 64 : supernet.batch, rule: recipe.weights,
            augmentation: supernet.augmentation)
        // Differentiable searches take no paths from ranges of cost.
        if recipe.isDifferentiable { (costBins, supernet.epochs) = (1, 20) }
    }

    /// How many of the training images the architecture has for its own.
    func architectureImages(of total: Int) -> Int {
        let free = min(trainingImages ?? total, total - validationImages)
        return Int((Double(free) * recipe.split.architectureShare).rounded())
    }

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
        let common = [
            ["Space", space], ["Data", "\(data): \(validationImages) training images held out to judge candidates"],
        ]
        let measuring = [
            "Latency",
            "\(latencySamples) candidates compiled from their own C and timed on \(target); every finalist timed again",
        ]
        let training =
            recipe.retraining == .inherited
            ? ["Weights", "the supernet's, normalisation statistics of its own"]
            : ["Retraining", "from scratch, \(decimal(retraining.epochs, 1)) epochs, batch \(retraining.batch)"]
        let axes =
            [["Source", recipe.source]]
            + recipe.axes.map { [$0.name.prefix(1).uppercased() + $0.name.dropFirst(), $0.value] }
        let end = [measuring] + flash + [training, ["Seed, threads", "\(seed), \(threads)"]]
        guard recipe.selection == .evolution else {
            let search = ["Search", "\(decimal(supernet.epochs, 1)) epochs, batch \(supernet.batch)"]
            return common + axes + [search] + end
        }
        return common + [
            [
                "Supernet",
                "\(decimal(supernet.epochs, 1)) epochs of single paths, batch \(supernet.batch), drawn uniformly"
                    + (costBins > 1 ? " from \(costBins) ranges of latency" : "") + " among those within the limits",
            ],
            [
                "Evolution",
                "population \(evolution.population), \(evolution.generations) generations, \(evolution.parents) parents, "
                    + "\(evolution.mutants) mutants (p = \(evolution.mutationProbability)), \(evolution.crossovers) crossovers; "
                    + "parents \(evolution.parentDistance) genes apart, empty places filled by "
                    + (evolution.refill == .mutants ? "mutants" : "random candidates")
                    + (evolution.selection == .predicted ? ", children chosen by the scores so far" : ""),
            ],
            [
                "Candidates",
                "inherited weights, normalisation recalibrated on \(recalibrationBatches * recalibrationBatch) training images, "
                    + "judged on \(candidateImages) held-out images",
            ],
        ] + end
    }
}

extension SearchConfiguration {
    /// Changes to a recipe's settings by name: `full` for a thorough search, `demo` for minutes on two cores, `quick` to
    /// see in seconds that everything works, with a network that learned little.
    static let presets: [(name: String, change: @Sendable (inout SearchConfiguration) -> Void)] = [
        ("full", { _ in }), ("demo", { $0.shrinkToMinutes() }), ("quick", { $0.shrinkToSeconds() }),
    ]

    /// - Throws: ``SearchError`` naming the presets there are.
    public static func preset(_ name: String, for recipe: Recipe = .spos) throws(SearchError) -> SearchConfiguration {
        guard let found = presets.first(where: { $0.name == name }) else {
            throw SearchError(
                .configuration, "unknown preset '\(name)'; known: \(presets.map(\.name).joined(separator: ", ")).")
        }
        var configuration = SearchConfiguration(recipe)
        found.change(&configuration)
        return configuration
    }

    /// Sized so that search and retraining on Fashion-MNIST take minutes on two cores.
    private mutating func shrinkToMinutes() {
        supernet.epochs = 4
        (latencySamples, finalists) = (16, 4)
        (evolution.population, evolution.generations, evolution.parents) = (30, 6, 8)
        (evolution.mutants, evolution.crossovers) = (15, 15)
        (recalibrationBatches, candidateImages) = (4, 1500)
        retraining.epochs = 12
    }

    /// A few steps of every phase.
    private mutating func shrinkToSeconds() {
        (trainingImages, validationImages) = (1920, 400)
        (supernet.epochs, supernet.batch, supernet.rate) = (1, 64, .linear(from: 0.05))
        (latencySamples, costBins, observations, finalists) = (4, 1, 4, 2)
        (evolution.population, evolution.generations, evolution.parents) = (6, 2, 3)
        (evolution.mutants, evolution.crossovers) = (3, 2)
        (recalibrationBatches, recalibrationBatch, candidateImages) = (2, 64, 200)
        (retraining.epochs, retraining.batch, retraining.rate) = (1, 64, .cosine(from: 0.1))
        guard recipe.isDifferentiable else { return }
        trainingImages = 640
        (supernet.epochs, supernet.batch, supernet.rate) = (3, 32, recipe.weights.rate)
    }
}
