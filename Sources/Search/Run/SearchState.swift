import Spaces

/// What a run has found so far: everything but weights, which have checkpoints of their own.
struct SearchState: Codable, Sendable {
    enum Phase: Int, Codable, Sendable, Comparable {
        case measuring, training, evolving, choosing, retraining, exporting, done

        static func < (a: Phase, b: Phase) -> Bool { a.rawValue < b.rawValue }
    }

    struct Leader: Codable, Hashable, Sendable {
        var architecture: Architecture
        /// What leaders are compared by: the accuracy, or the weight that a learned architecture gives them.
        var score: Double
        var accuracy: Double
    }

    var phase = Phase.measuring
    var measured: [LatencyEstimator.Measured] = []
    var estimator: LatencyEstimator?
    /// The largest number of bytes of code for a byte of C among compiled candidates, where flash memory is limited.
    var codeRatio: Double?
    var evolution: Evolution?
    /// What the search proposes, best first, and the accuracy of each with inherited weights.
    var leaders: [Leader] = []
    var winner: Architecture?
    var winnerValidation = 0.0
    /// Rows of the trial log that belong to this state.
    var trials = 0
    /// Seconds spent by phase, in order.
    var times: [RunRecord.Phase] = []

    mutating func add(_ seconds: Double, to phase: String) {
        if let index = times.firstIndex(where: { $0.name == phase }) {
            times[index].seconds += seconds
        } else {
            times.append(.init(name: phase, seconds: seconds))
        }
    }

    var seconds: Double { times.reduce(0) { $0 + $1.seconds } }
}
