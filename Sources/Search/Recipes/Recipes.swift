import Training

/// The published systems, each a value over the axes.
extension Recipe {
    /// Every recipe, in the order in which they are listed.
    public static let all: [Recipe] = [
        .spos, .darts1, .darts2, .proxyless, .idarts, .prime(), .prime(activation: true), .prime(schedule: false),
        .prime(regularizer: .admm(0.1)), .prime(regularizer: nil), .snas, .unas,
    ]

    /// - Throws: ``SearchError`` naming the recipes there are.
    public static func named(_ name: String) throws(SearchError) -> Recipe {
        guard let found = all.first(where: { $0.name == name }) else {
            throw SearchError(
                .configuration, "unknown algorithm '\(name)'; known: \(all.map(\.name).joined(separator: ", ")).")
        }
        return found
    }

    public static let spos = Recipe(
        name: "spos", source: "Guo et al., Single Path One-Shot, ECCV 2020", estimator: .none, relaxation: .uniformPath,
        schedule: .weightsOnly, selection: .evolution, space: "mbconv-28", split: .shared,
        weights: WeightRule(
            optimizer: .sgd(SGD(momentum: 0.9, nesterov: true, weightDecay: 4e-5, decays: .matricesOnly)),
            rate: .warmUp(steps: 50, then: .linear(from: 0.12)), clip: 5))

    public static let darts1 = Recipe(
        name: "darts1", source: "Liu et al., DARTS, ICLR 2019, first order", estimator: .hypergradient(.partial),
        relaxation: .softmax, schedule: .alternating(), selection: .discretized(.topEdges(2)), space: "darts-micro")

    public static let darts2 = Recipe(
        name: "darts2", source: "Liu et al., DARTS, ICLR 2019, second order", estimator: .hypergradient(.virtualStep),
        relaxation: .softmax, schedule: .alternating(), selection: .discretized(.topEdges(2)), space: "darts-micro")

    public static let proxyless = Recipe(
        name: "proxyless", source: "Cai et al., ProxylessNAS, ICLR 2019", estimator: .gatePair, relaxation: .ownPath,
        schedule: .alternating(weightSteps: 5, warmUp: 0.25),
        cost: CostRule(measures: [.latency], aggregation: .expected, form: .relative(target: 1, weight: 0.1)),
        selection: .discretized(.heaviest), space: "proxyless-28", split: .shares(architecture: 0.2),
        weights: WeightRule(
            optimizer: .sgd(SGD(momentum: 0.9, nesterov: true, weightDecay: 4e-5)), rate: .cosine(from: 0.05)),
        architecture: ArchitectureRule(optimizer: Adam(beta1: 0), rate: .constant(1e-3), publishedSteps: 24_000))

    public static let idarts = Recipe(
        name: "idarts", source: "Zhang et al., iDARTS, ICML 2021",
        estimator: .hypergradient(Hypergradient(terms: 2, mixedTerm: .finiteDifference(epsilon: 0.01))),
        relaxation: .softmax, schedule: .alternating(weightSteps: 4), selection: .discretized(.topEdges(2)),
        space: "darts-micro",
        weights: WeightRule(
            optimizer: .sgd(SGD(momentum: 0.9, nesterov: true, weightDecay: 5e-4)), rate: .cosine(from: 0.01, to: 0.001)
        ),
        architecture: ArchitectureRule(publishedSteps: 11_700))

    /// The three mechanisms, each of which can be left out.
    ///
    /// - Parameters:
    ///   - activation: Clamped weights in the place of a softmax.
    ///   - schedule: Architecture steps when the weights are settled, in the place of every tenth step.
    public static func prime(
        activation: Bool = false, schedule: Bool = true, regularizer: RegularizerRule? = .proximity(0.1)
    ) -> Recipe {
        var name = "prime"
        if activation { name += "-crb" }
        if !schedule { name += "-static" }
        switch regularizer {
        case .proximity: break
        case nil: name += "-free"
        case .admm: name += "-admm"
        case .duplicates, .entropy: name += "-other"
        }
        return Recipe(
            name: name, source: "Maile et al., On Constrained Optimization in Differentiable NAS, 2021",
            estimator: .hypergradient(.partial), relaxation: activation ? .clamped : .softmax,
            schedule: schedule ? .fisher(frequency: 10) : .alternating(weightSteps: 10),
            regularizers: [regularizer].compactMap { $0 }, selection: .discretized(.topEdges(2)), space: "darts-micro",
            split: .shares(architecture: 1.0 / 11), architecture: ArchitectureRule(publishedSteps: 3_550))
    }

    public static let snas = Recipe(
        name: "snas", source: "Xie et al., SNAS, ICLR 2019", estimator: .pathwise,
        relaxation: .concrete(tau: .linear(from: 1, to: 0.03)), schedule: .joint, objective: .trainingLoss,
        cost: CostRule(
            measures: [.parameters, .macs, .traffic], aggregation: .sampled, form: .linear(weight: 0.1)),
        selection: .discretized(.heaviest), space: "darts-micro", split: .shared, retraining: .inherited,
        architecture: ArchitectureRule(initial: [1, 0.01], publishedSteps: 117_000))

    public static let unas = Recipe(
        name: "unas", source: "Vahdat et al., UNAS, CVPR 2020", estimator: .score(.rebar),
        relaxation: .concrete(tau: .constant(0.4)), schedule: .alternating(warmUp: 0.15),
        objective: .generalizationGap(weight: 0.5), regularizers: [.duplicates(0.2)],
        cost: CostRule(
            measures: [.latency], aggregation: .exact, form: .hinge(target: 1, weight: 1), ramp: 0.5),
        selection: .discretized(.heaviest), space: "darts-factorised-micro", split: .shares(architecture: 0.1),
        // The published rate is 3e-4, for runs that are a hundred times as long.
        weights: WeightRule(
            optimizer: .adam(Adam(weightDecay: 3e-4, decay: .inGradient)), rate: .cosine(from: 2e-3, to: 1e-4)),
        architecture: ArchitectureRule(
            optimizer: Adam(weightDecay: 1e-6, decay: .inGradient), rate: .cosine(from: 1e-3, to: 3e-4),
            initial: [0, 0], publishedSteps: 30_000))
}

extension Recipe {
    /// The axes in words, as they are listed.
    public var axes: [(name: String, value: String)] {
        var list: [(String, String)] = [
            ("estimator", "\(estimator)"), ("relaxation", "\(relaxation)"), ("schedule", "\(schedule)"),
            ("objective", "\(objective)"),
            ("regularisers", regularizers.isEmpty ? "none" : regularizers.map(\.description).joined(separator: ", ")),
        ]
        let cost = cost.map { rule in
            "\(rule.aggregation.rawValue) \(rule.measures.map(\.rawValue).joined(separator: " + ")), \(rule.form)"
        }
        list += [
            ("cost", cost ?? "none"), ("selection", "\(selection)"), ("space", space), ("split", "\(split)"),
            ("retraining", retraining == .inherited ? "none: inherited weights" : "from scratch"),
        ]
        return list
    }
}

extension Recipe.Estimator: CustomStringConvertible {
    public var description: String {
        switch self {
        case .none: "none"
        case .hypergradient(let it):
            switch (it.terms, it.point) {
            case (nil, _): "partial gradient"
            case (_, .virtual): "virtual step"
            case (let terms?, .current): "Neumann series of \(terms) terms"
            }
        case .pathwise: "pathwise"
        case .score(.rebar): "score function, relaxed control variate"
        case .score(.movingAverage): "score function, running baseline"
        case .score(.none): "relaxed sample alone"
        case .gatePair: "pair of gates"
        }
    }
}

extension Recipe.RelaxationRule: CustomStringConvertible {
    public var description: String {
        switch self {
        case .uniformPath: "uniform paths"
        case .ownPath: "paths by probability"
        case .softmax: "softmax"
        case .clamped: "clamped, nodes normalised"
        case .concrete(let tau):
            "concrete, temperature \(decimal(tau.value(at: 0, of: 1), 2)) to \(decimal(tau.value(at: 1, of: 1), 2))"
        }
    }
}

extension Recipe.UpdateSchedule: CustomStringConvertible {
    public var description: String {
        switch self {
        case .weightsOnly: "weights, then search"
        case .joint: "one pass for both"
        case .alternating(let count, let warmUp):
            (count == 1 ? "before every weight step" : "every \(count) weight steps")
                + (warmUp > 0 ? ", after \(decimal(100 * warmUp, 0)) % of them" : "")
        case .fisher(let frequency): "when settled (Fisher trace), 1 to \(decimal(frequency, 0))"
        }
    }
}

extension Recipe.RegularizerRule: CustomStringConvertible {
    public var description: String {
        switch self {
        case .proximity(let strength): "proximity \(strength)"
        case .admm(let strength, let interval): "ADMM \(strength), every \(interval)"
        case .duplicates(let strength): "duplicates \(strength)"
        case .entropy(let strength): "entropy \(strength)"
        }
    }
}

extension Recipe.Selection: CustomStringConvertible {
    public var description: String {
        switch self {
        case .evolution: "evolution"
        case .discretized(.heaviest): "heaviest"
        case .discretized(.topEdges(let count)): "best \(count) edges a node"
        }
    }
}

extension Recipe.SplitRule: CustomStringConvertible {
    public var description: String {
        switch self {
        case .shared: "shared"
        case .shares(let share): "\(decimal(100 * share, 0)) % for the architecture"
        }
    }
}

extension ArchitectureObjective: CustomStringConvertible {
    public var description: String {
        switch self {
        case .validationLoss: "validation loss"
        case .trainingLoss: "training loss"
        case .generalizationGap(let weight): "training loss + \(weight) |gap|"
        }
    }
}

extension CostForm: CustomStringConvertible {
    public var description: String {
        switch self {
        case .linear(let weight): "linear \(weight)"
        case .hinge(_, let weight): "hinge \(weight)"
        case .squared(_, let weight): "squared \(weight)"
        case .relative(_, let weight): "relative \(weight)"
        case .logProduct(_, let alpha, let beta): "log product \(alpha), \(beta)"
        }
    }
}
