import Spaces
import Training

/// A search algorithm as a choice along ten axes, each of which works with the others' values unless ``conflicts`` says
/// why not. Nothing else in the program knows an algorithm by its name.
public struct Recipe: Codable, Hashable, Sendable {
    public var name: String
    /// Who described it, and where.
    public var source: String
    /// How it becomes a gradient of the architecture, if it does.
    public var estimator: Estimator
    public var relaxation: RelaxationRule
    public var schedule: UpdateSchedule
    public var objective: ArchitectureObjective = .validationLoss
    public var regularizers: [RegularizerRule] = []
    public var cost: CostRule?
    public var selection: Selection
    /// The space it is published with, in the size of two cores.
    public var space: String
    public var split: SplitRule = .shares(architecture: 0.5)
    public var retraining: Retraining = .fromScratch
    /// How weights and architecture move.
    public var weights = WeightRule()
    public var architecture = ArchitectureRule()

    /// Where the architecture's gradient comes from.
    public enum Estimator: Codable, Hashable, Sendable {
        /// There is none: architectures are compared after the weights are trained.
        case none
        /// Through mixture weights, and perhaps through the weights' response to them.
        case hypergradient(Hypergradient)
        /// Through the relaxed sample.
        case pathwise
        /// Through the probability of the discrete sample, with what reduces the variance.
        case score(ScoreFunction)
        /// Through the gates of two alternatives of every choice.
        case gatePair
    }

    /// What runs in the place of a choice.
    public enum RelaxationRule: Codable, Hashable, Sendable {
        /// One alternative, drawn uniformly.
        case uniformPath
        /// One alternative, drawn by the architecture's probabilities.
        case ownPath
        case softmax
        /// Weights of their own in [0, 1]; `none` takes no part, and what reaches 0 is gone for good.
        case clamped
        /// Relaxed samples at a temperature that may change.
        case concrete(tau: RateSchedule)

        var runsPaths: Bool { self == .uniformPath || self == .ownPath }
    }

    /// When the architecture moves.
    public enum UpdateSchedule: Codable, Hashable, Sendable {
        /// Never.
        case weightsOnly
        /// With every weight step, by the same pass over the same batch.
        case joint
        /// Before every `weightSteps`-th weight step, after a share of the run in which only weights move.
        case alternating(weightSteps: Int = 1, warmUp: Double = 0)
        /// When the weights are locally settled.
        case fisher(frequency: Double)
    }

    /// Terms added to the objective.
    public enum RegularizerRule: Codable, Hashable, Sendable {
        case proximity(Double)
        case admm(Double, interval: Int = 10)
        /// Of a node's two slots that choose the same; nothing where a space has no slots.
        case duplicates(Double)
        /// `strength · Σ entropy` of the choices' probabilities.
        case entropy(Double)
    }

    /// What the found network may cost, as a term of the objective.
    public struct CostRule: Codable, Hashable, Sendable {
        public enum Measure: String, Codable, Hashable, Sendable, CaseIterable {
            case macs, parameters, traffic, latency
        }
        public enum Aggregation: String, Codable, Hashable, Sendable {
            /// By the probabilities.
            case expected
            /// Of the relaxed sample.
            case sampled
            /// Of the discrete sample, as a function that need not have a gradient.
            case exact
        }
        /// Each measure counts in units of its limit, or of the space's mean where none was given.
        public var measures: [Measure]
        public var aggregation: Aggregation
        /// Targets are in the same units: 1 is the limit.
        public var form: CostForm
        /// The share of the run in which the term grows to its full weight.
        public var ramp = 0.0
    }

    /// How the result is read off.
    public enum Selection: Codable, Hashable, Sendable {
        case discretized(Discretizer)
        /// Evolution over inherited weights.
        case evolution
    }

    /// Which images the weights and which the architecture learns from.
    public enum SplitRule: Codable, Hashable, Sendable {
        /// Both learn from the same.
        case shared
        case shares(architecture: Double)

        var architectureShare: Double { if case .shares(let share) = self { share } else { 0 } }
    }

    /// Where the exported weights come from.
    public enum Retraining: String, Codable, Hashable, Sendable {
        case fromScratch
        /// The supernet's, as they are.
        case inherited
    }

    public struct WeightRule: Codable, Hashable, Sendable {
        public var optimizer: AnyOptimizer = .sgd(SGD(momentum: 0.9, nesterov: false, weightDecay: 3e-4))
        public var rate: RateSchedule = .cosine(from: 0.025, to: 0.001)
        public var clip: Double? = 5
    }

    public struct ArchitectureRule: Codable, Hashable, Sendable {
        public var optimizer = Adam(beta1: 0.5, beta2: 0.999, weightDecay: 1e-3, decay: .inGradient)
        public var rate: RateSchedule = .constant(3e-4)
        /// Mean and deviation of the initial parameters; those of the relaxation where left out.
        public var initial: [Double]?
        /// Architecture steps of the published runs. A shorter run takes larger ones, so that the architecture can come
        /// as far: by at most a hundredfold.
        public var publishedSteps = 19_500
        /// How many times the published steps a run takes, where that is not left to its length.
        public var acceleration: Double?

        func scale(steps: Int) -> Double {
            acceleration ?? min(100, max(1, Double(publishedSteps) / Double(max(1, steps))))
        }
    }

    /// About how many architecture steps a run of so many weight steps has.
    func architectureSteps(of steps: Int) -> Int {
        switch schedule {
        case .weightsOnly: 0
        case .joint: steps
        case .alternating(let weightSteps, let warmUp): Int(Double(steps) * (1 - warmUp)) / weightSteps
        case .fisher(let frequency): Int(Double(steps) / (frequency + 1))
        }
    }
}

extension Recipe {
    /// Whether the architecture learns by gradient.
    public var isDifferentiable: Bool { estimator != .none }

    /// Why these values do not go together; empty when they do.
    public var conflicts: [String] {
        var found: [String] = []
        func refuse(_ condition: Bool, _ reason: String) { if condition { found.append(reason) } }
        let isSampled = if case .concrete = relaxation { true } else { false }
        let implicit: Bool = if case .hypergradient(let it) = estimator { it.terms != nil } else { false }
        let rebar = estimator == .score(.rebar)
        var isScore = false
        if case .score = estimator { isScore = true }
        refuse(
            implicit && relaxation.runsPaths,
            "a virtual step or a Neumann series needs a mixture: on drawn paths every term would see other weights")
        refuse(
            implicit && isSampled,
            "a virtual step or a Neumann series needs one mixture for all of its terms, and a concrete relaxation draws anew"
        )
        refuse(isScore && !isSampled, "a score function needs a concrete relaxation to draw from")
        refuse(estimator == .pathwise && !isSampled, "a pathwise gradient needs a concrete relaxation to go through")
        refuse(
            (estimator == .gatePair) != (relaxation == .ownPath),
            "pairs of gates need paths drawn by the architecture's probabilities, and these need pairs of gates")
        refuse(
            estimator == .none && relaxation != .uniformPath,
            "without a gradient of the architecture only uniform paths train all weights alike")
        refuse(
            isDifferentiable && relaxation == .uniformPath,
            "uniform paths do not depend on the architecture, so there is nothing to differentiate")
        refuse(
            (schedule == .weightsOnly) == isDifferentiable,
            "an architecture with a gradient needs a schedule that moves it, and one without has none to follow")
        refuse(
            (selection == .evolution) == isDifferentiable,
            "evolution compares networks of uniform paths; a learned architecture is read off by a discretizer")
        refuse(
            cost?.aggregation == .exact && !rebar,
            "a cost without a gradient needs a score function with a control variate")
        refuse(
            cost?.aggregation == .sampled && !isSampled, "a sampled cost needs a concrete relaxation to draw from")
        refuse(
            schedule == .joint && split != .shared,
            "a joint step takes weights and architecture from one batch: the split must be shared")
        refuse(
            schedule == .joint && estimator != .pathwise && estimator != .hypergradient(.partial),
            "a joint step has one backward pass: it needs a pathwise or a partial gradient")
        refuse(
            objective != .trainingLoss && split == .shared && isDifferentiable,
            "an objective of validation images needs images of its own")
        refuse(
            retraining == .inherited && !isSampled,
            "inherited weights serve only where the supernet ran nearly discrete samples")
        if case .generalizationGap = objective {
            refuse(
                !isScore && estimator != .pathwise, "a generalisation gap needs the samples of a concrete relaxation")
        }
        return found
    }

    /// Why a space cannot be searched this way; empty when it can.
    public func conflicts(with space: SearchSpace) -> [String] {
        var found = conflicts
        guard isDifferentiable else { return found }
        if let site = space.sites.first(where: { $0.role == .setting }) {
            found.append(
                "the space \(space.name) cannot be relaxed: '\(site.site)' decides a setting. Fix it, or search by paths"
            )
        }
        if case .discretized(.topEdges) = selection, let cell = space.cells.first(where: { $0.wiring == .twoInputs }),
            !cell.operators.contains(where: { $0.label == "none" })
        {
            found.append(
                "the cells of the space \(space.name) have no operator 'none', so no edge can be left out: take the heaviest operators instead"
            )
        }
        if relaxation == .clamped, space.cells.isEmpty {
            found.append(
                "the space \(space.name) has no cells, whose nodes a clamped relaxation needs to normalise")
        }
        return found
    }
}
