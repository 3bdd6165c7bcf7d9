import Spaces

/// An architecture with the score it got; higher is better.
public struct Scored: Hashable, Codable, Sendable {
    public var architecture: Architecture
    public var score: Double

    public init(_ architecture: Architecture, score: Double) { (self.architecture, self.score) = (architecture, score) }
}

/// A search that proposes architectures one by one and is told their scores.
///
/// The caller evaluates, so it decides what a score is, and can stop and store the searcher between any two calls: the
/// whole state is `Codable`, and a restored searcher goes on exactly as the stored one would have.
public protocol Searcher: Codable, Sendable {
    /// The next architecture to evaluate, or `nil` when the search is over. Asking again without recording gives the
    /// same answer.
    mutating func next(within constraints: Constraints) throws -> Architecture?

    /// Records the score of the architecture that ``next(within:)`` proposed.
    mutating func record(score: Double)

    /// Everything evaluated, in order.
    var evaluated: [Scored] { get }
}

extension Searcher {
    /// The best found, the earlier one of equals.
    public var best: Scored? {
        evaluated.reduce(nil) { best, candidate in
            guard let best else { return candidate }
            return candidate.score > best.score ? candidate : best
        }
    }

    /// The `count` best, best first; of equals the one evaluated earlier comes first.
    public func top(_ count: Int) -> [Scored] {
        let order = evaluated.indices.sorted { a, b in
            evaluated[a].score != evaluated[b].score ? evaluated[a].score > evaluated[b].score : a < b
        }
        return order.prefix(count).map { evaluated[$0] }
    }
}

/// The score that is recorded for one that is not a number: worse than all others, and storable.
let worstScore = -Double.greatestFiniteMagnitude

func orderable(_ score: Double) -> Double {
    score.isNaN ? worstScore : min(max(score, worstScore), Double.greatestFiniteMagnitude)
}
