import Hardware
import IR
import Spaces

/// Evolution under hard constraints, over any alphabet of choices.
///
/// Each generation takes the best `parents` ever seen, makes `mutants` of them (each gene resampled uniformly with
/// `mutationProbability`) and `crossovers` (each gene from one of two random parents), each kind from
/// `triesPerChild` times its number of tries, and fills up to `population`. A candidate is legal when it was not proposed
/// before and meets every constraint, so no evaluation is wasted.
///
/// - Source: Guo et al., *Single Path One-Shot*, ECCV 2020, section 3.4 and released code: ``Settings/init()``. Ours are
///   the three changes of ``Settings/guided``; that a cheap model chooses among the tries is known as pre-selection: Jin,
///   *Surrogate-assisted evolutionary computation*, Swarm and Evolutionary Computation 1, 2011.
public struct Evolution: Searcher {
    public struct Settings: Hashable, Codable, Sendable {
        public var population = 50
        public var generations = 20
        public var parents = 10
        public var mutants = 25
        public var crossovers = 25
        public var mutationProbability = 0.1
        public var triesPerChild = 10
        /// Draws for one place of a population before the generation is left smaller: the space may have no more.
        public var triesPerRefill = 10_000
        /// In how many genes two parents differ at least.
        public var parentDistance = 1
        /// What fills the places that children leave empty.
        public var refill = Refill.random
        /// Which of the legal tries become children.
        public var selection = Selection.first

        public enum Refill: String, Hashable, Codable, Sendable {
            /// Uniform candidates.
            case random
            /// Further mutants, with a probability that grows until they are legal and new: late in a search a uniform
            /// candidate has no chance beside the best.
            case mutants
        }

        public enum Selection: String, Hashable, Codable, Sendable {
            /// Those drawn first.
            case first
            /// Those that a linear model of the scores so far, with a weight for each choice of each gene, rates best.
            case predicted
        }

        /// The published settings.
        public init() {}

        /// The published numbers, with parents that differ in two genes at least, places filled by mutants, and children
        /// chosen from as many tries by their predicted score: searches for a known optimum end nearer to it, and a tenth
        /// as many far from it.
        public static let guided: Settings = {
            var settings = Settings()
            (settings.parentDistance, settings.refill, settings.selection) = (2, .mutants, .predicted)
            return settings
        }()
    }

    public let alphabet: [Int]
    public let settings: Settings
    public private(set) var evaluated: [Scored] = []
    /// Generations that were proposed so far.
    public private(set) var generation = 0
    /// What is left of the current generation; the first is the proposal.
    private var queue: [Architecture] = []
    private var random: RandomSource
    /// Every architecture proposed so far; follows from the rest of the state.
    private var seen: Set<Architecture> = []

    public init(alphabet: [Int], settings: Settings = Settings(), random: RandomSource) {
        (self.alphabet, self.settings, self.random) = (alphabet, settings, random)
    }

    public mutating func next(within constraints: Constraints) throws -> Architecture? {
        if queue.isEmpty, generation < settings.generations {
            queue = try nextGeneration(within: constraints)
            generation += 1
        }
        return queue.first
    }

    public mutating func record(score: Double) {
        precondition(!queue.isEmpty, "a score needs a proposal before it")
        evaluated.append(Scored(queue.removeFirst(), score: orderable(score)))
    }

    private mutating func nextGeneration(within constraints: Constraints) throws -> [Architecture] {
        var children: [Architecture] = []
        let parents = parents()
        if !parents.isEmpty {
            let probability = settings.mutationProbability
            let model = settings.selection == .predicted ? try scoreModel() : nil
            func mutate(_ alphabet: [Int], _ random: inout RandomSource) -> Architecture {
                Self.mutant(of: parents, probability, alphabet, &random)
            }
            children += try breed(settings.mutants, rating: model, within: constraints, mutate)
            children += try breed(settings.crossovers, rating: model, within: constraints) { alphabet, random in
                let (mother, father) = (random.element(of: parents), random.element(of: parents))
                return Architecture(choices: alphabet.indices.map { random.bernoulli() ? mother[$0] : father[$0] })
            }
            if settings.refill == .mutants {
                let missing = settings.population - children.count
                children += try breed(missing, rating: model, within: constraints, mutate)
            }
        }
        let uniform = UniformSampler(alphabet: alphabet)
        refill: while children.count < settings.population {
            for attempt in 0..<settings.triesPerRefill {
                var candidate = uniform.sample(using: &random)
                if settings.refill == .mutants, !parents.isEmpty {
                    // From the probability of a mutant to that of a uniform draw.
                    let share = Double(attempt) / Double(settings.triesPerRefill)
                    let probability = settings.mutationProbability + (1 - settings.mutationProbability) * share
                    candidate = Self.mutant(of: parents, probability, alphabet, &random)
                }
                if try admit(candidate, within: constraints) {
                    children.append(candidate)
                    continue refill
                }
            }
            break
        }
        return children
    }

    /// The best ever seen that differ enough from each better one among them.
    private func parents() -> [Architecture] {
        var parents: [Architecture] = []
        for candidate in top(evaluated.count).lazy.map(\.architecture) where parents.count < settings.parents {
            let distinct = parents.allSatisfy { parent in
                zip(parent.choices, candidate.choices).count { $0 != $1 } >= settings.parentDistance
            }
            if distinct { parents.append(candidate) }
        }
        return parents
    }

    private static func mutant(
        of parents: [Architecture], _ probability: Double, _ alphabet: [Int], _ random: inout RandomSource
    ) -> Architecture {
        var child = random.element(of: parents)
        for site in alphabet.indices where random.bernoulli(probability) {
            child.choices[site] = random.integer(below: alphabet[site])
        }
        return child
    }

    /// Up to `count` legal children of `triesPerChild * count` tries: the first of them, or those with the best ratings.
    private mutating func breed(
        _ count: Int, rating model: LinearModel?, within constraints: Constraints,
        _ make: ([Int], inout RandomSource) -> Architecture
    ) throws -> [Architecture] {
        var tries = (0..<max(count, 0) * settings.triesPerChild).map { _ in make(alphabet, &random) }
        if let model {
            // Ratings come before the constraints, which may cost a graph of the candidate each.
            let ratings = tries.map { model.predict(features(of: $0)) }
            tries = tries.indices.sorted { (-ratings[$0], $0) < (-ratings[$1], $1) }.map { tries[$0] }
        }
        var children: [Architecture] = []
        for child in tries where children.count < count {
            if try admit(child, within: constraints) { children.append(child) }
        }
        return children
    }

    /// The scores so far as a sum over genes, `nil` where no score is a number. The ridge keeps a choice that was seen once
    /// or twice near the mean.
    private func scoreModel() throws -> LinearModel? {
        let scored = evaluated.filter { abs($0.score) < -worstScore }
        if scored.isEmpty { return nil }
        let mean = scored.reduce(0) { $0 + $1.score / Double(scored.count) }
        return try LinearModel(
            features: scored.map { features(of: $0.architecture) }, values: scored.map { $0.score - mean }, ridge: 1,
            intercept: .none)
    }

    /// 1 for each choice that is made, 0 for the others.
    private func features(of architecture: Architecture) -> [Double] {
        var features = [Double](repeating: 0, count: alphabet.reduce(0, +))
        var first = 0
        for (size, choice) in zip(alphabet, architecture.choices) {
            features[first + choice] = 1
            first += size
        }
        return features
    }

    /// Whether a candidate is new and legal; from then on it counts as seen.
    private mutating func admit(_ candidate: Architecture, within constraints: Constraints) throws -> Bool {
        guard !seen.contains(candidate), try constraints.allow(candidate) else { return false }
        seen.insert(candidate)
        return true
    }
}

/// The set of what was seen is rebuilt, not stored.
extension Evolution {
    private enum CodingKeys: CodingKey { case alphabet, settings, evaluated, generation, queue, random }

    public init(from decoder: any Decoder) throws {
        let state = try decoder.container(keyedBy: CodingKeys.self)
        alphabet = try state.decode([Int].self, forKey: .alphabet)
        settings = try state.decode(Settings.self, forKey: .settings)
        evaluated = try state.decode([Scored].self, forKey: .evaluated)
        generation = try state.decode(Int.self, forKey: .generation)
        queue = try state.decode([Architecture].self, forKey: .queue)
        random = try state.decode(RandomSource.self, forKey: .random)
        seen = Set(evaluated.map(\.architecture) + queue)
    }
}
