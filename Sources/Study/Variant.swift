import Search
import Training

/// A recipe under a name of its own, for tables.
struct Variant {
    var label: String
    var recipe: Recipe
    /// Whether this is a published system as it is, and not one without its own mechanism.
    var isSystem: Bool

    init(_ label: String, _ recipe: Recipe, isSystem: Bool = false, _ change: (inout Recipe) -> Void = { _ in }) {
        self.label = label
        self.isSystem = isSystem
        var changed = recipe
        change(&changed)
        // The searches of the studies have no limit.
        changed.cost = nil
        self.recipe = changed
    }

    /// Every system, and each without its own mechanism.
    static let all = [
        Variant("darts1", .darts1, isSystem: true), Variant("darts2", .darts2, isSystem: true),
        Variant("darts1, every fourth step", .darts1) { $0.schedule = .alternating(weightSteps: 4) },
        Variant("idarts", .idarts, isSystem: true),
        Variant("idarts, K = 0, T = 1", .idarts) {
            $0.estimator = .hypergradient(Hypergradient(terms: 0, mixedTerm: .finiteDifference(epsilon: 0.01)))
            $0.schedule = .alternating()
        },
        Variant("idarts, exact products", .idarts) { $0.estimator = .hypergradient(.neumann(2)) },
        Variant("prime", .prime(), isSystem: true), Variant("prime, ADMM", .prime(regularizer: .admm(0.1))),
        Variant("prime, no regulariser", .prime(regularizer: nil)),
        Variant("prime, fixed schedule", .prime(schedule: false)),
        Variant("prime, clamped", .prime(activation: true)),
        Variant("snas", .snas, isSystem: true),
        Variant("snas, temperature fixed at 1", .snas) { $0.relaxation = .concrete(tau: .constant(1)) },
        Variant("snas, softmax mixture", .snas) {
            ($0.relaxation, $0.estimator, $0.retraining) = (.softmax, .hypergradient(.partial), .fromScratch)
        },
        Variant("unas", .unas, isSystem: true),
        Variant("unas, relaxed sample alone", .unas) { $0.estimator = .score(.none) },
        Variant("unas, running baseline", .unas) { $0.estimator = .score(.movingAverage(decay: 0.95)) },
        Variant("proxyless", .proxyless, isSystem: true),
    ]

    /// One recipe, iDARTS', in which nothing but the hypergradient differs: the supernet, its weights' optimizer, the
    /// schedule and the architecture's are the same.
    static let hypergradients = [(nil, "no implicit term"), (0, "K = 0"), (2, "K = 2"), (20, "K = 20")].map {
        (terms: Int?, label) in
        Variant("hypergradient, " + label, .idarts) {
            $0.estimator = .hypergradient(
                Hypergradient(terms: terms, mixedTerm: .finiteDifference(epsilon: 0.01)))
        }
    }

    /// What pulls PRIME to a discrete choice, in the published strength and tenfold.
    static let regularisers = [
        Variant("no regulariser", .prime(regularizer: nil)),
        Variant("proximity 0.1", .prime()), Variant("proximity 1", .prime(regularizer: .proximity(1))),
        Variant("ADMM 0.1", .prime(regularizer: .admm(0.1))), Variant("ADMM 1", .prime(regularizer: .admm(1))),
    ]

    /// Those of the given labels, or all of a kind.
    static func chosen(_ labels: [String], of known: [Variant] = all, systemsOnly: Bool = false) throws -> [Variant] {
        for label in labels where !known.contains(where: { $0.label == label }) {
            let names = known.map { "'\($0.label)'" }.joined(separator: ", ")
            throw SearchError(.configuration, "unknown search '\(label)'; known: \(names).")
        }
        return known.filter { labels.isEmpty ? $0.isSystem || !systemsOnly : labels.contains($0.label) }
    }
}
