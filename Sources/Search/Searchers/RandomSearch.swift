import IR
import Spaces

/// Uniform legal architectures, each at most once: the baseline of every search.
public struct RandomSearch: Searcher {
    public let alphabet: [Int]
    public let evaluations: Int
    public let triesPerCandidate: Int
    public private(set) var evaluated: [Scored] = []
    private var proposal: Architecture?
    private var random: RandomSource
    /// What was evaluated; follows from the rest of the state.
    private var seen: Set<Architecture> = []

    public init(alphabet: [Int], evaluations: Int, triesPerCandidate: Int = 10_000, random: RandomSource) {
        (self.alphabet, self.evaluations, self.triesPerCandidate) = (alphabet, evaluations, triesPerCandidate)
        self.random = random
    }

    public mutating func next(within constraints: Constraints) throws -> Architecture? {
        if let proposal { return proposal }
        guard evaluated.count < evaluations else { return nil }
        let uniform = UniformSampler(alphabet: alphabet)
        for _ in 0..<triesPerCandidate {
            let candidate = uniform.sample(using: &random)
            if !seen.contains(candidate), try constraints.allow(candidate) {
                proposal = candidate
                return candidate
            }
        }
        return nil
    }

    public mutating func record(score: Double) {
        guard let architecture = proposal else { preconditionFailure("a score needs a proposal before it") }
        evaluated.append(Scored(architecture, score: orderable(score)))
        seen.insert(architecture)
        proposal = nil
    }
}

/// The set of what was seen is rebuilt, not stored.
extension RandomSearch {
    private enum CodingKeys: CodingKey { case alphabet, evaluations, triesPerCandidate, evaluated, proposal, random }

    public init(from decoder: any Decoder) throws {
        let state = try decoder.container(keyedBy: CodingKeys.self)
        alphabet = try state.decode([Int].self, forKey: .alphabet)
        evaluations = try state.decode(Int.self, forKey: .evaluations)
        triesPerCandidate = try state.decode(Int.self, forKey: .triesPerCandidate)
        evaluated = try state.decode([Scored].self, forKey: .evaluated)
        proposal = try state.decodeIfPresent(Architecture.self, forKey: .proposal)
        random = try state.decode(RandomSource.self, forKey: .random)
        seen = Set(evaluated.map(\.architecture))
    }
}
