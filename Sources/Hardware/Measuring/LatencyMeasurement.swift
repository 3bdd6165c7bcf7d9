import Foundation

/// The latency of a program on a target, in milliseconds an inference.
public struct LatencyMeasurement: Hashable, Sendable, Codable {
    /// The fastest sample: what the program needs when nothing disturbs it.
    public var minimum: Double
    /// The median of the rounds' medians: what a limit is compared with.
    public var median: Double
    /// 95 % of all samples took no longer.
    public var p95: Double
    /// The rounds' median deviation from their median, as a share of it.
    public var spread: Double
    /// Each round's median, in the order they were taken.
    public var rounds: [Double]
    /// How many samples there are over all rounds.
    public var runs: Int
    /// Whether the spread stayed within the plan's limit.
    public var isStable: Bool

    /// Sums up rounds of samples.
    init(rounds samples: [[Double]], spreadLimit: Double) {
        let all = samples.flatMap { $0 }
        rounds = samples.map { Statistics.median($0) }
        minimum = all.min() ?? 0
        median = Statistics.median(rounds)
        p95 = Statistics.quantile(0.95, of: all)
        spread = median > 0 ? Statistics.medianDeviation(rounds) / median : 0
        runs = all.count
        isStable = spread <= spreadLimit
    }

    init(
        minimum: Double, median: Double, p95: Double, spread: Double, rounds: [Double], runs: Int, isStable: Bool
    ) {
        self.minimum = minimum
        self.median = median
        self.p95 = p95
        self.spread = spread
        self.rounds = rounds
        self.runs = runs
        self.isStable = isStable
    }
}

/// How carefully programs are timed.
public struct MeasuringPlan: Hashable, Sendable {
    /// Rounds in which every program gets its turn.
    public var rounds = 5
    /// Up to this many when a spread is too large.
    public var maximumRounds = 15
    /// The spread up to which a measurement counts as stable.
    public var spreadLimit = 0.03
    /// Before each round's samples, so that caches, clock and branch predictors have settled.
    public var warmUp: Duration = .milliseconds(50)
    /// What a program's samples of one round take.
    public var burst: Duration = .milliseconds(150)
    /// At least this many samples a round, however long they take.
    public var minimumSamples = 5
    /// How long to wait while other processes measure.
    public var patience: Duration = .seconds(600)

    public init() {}

    /// Fewer and shorter rounds, for ranking many candidates.
    public static let quick: MeasuringPlan = {
        var plan = MeasuringPlan()
        plan.rounds = 3
        plan.maximumRounds = 6
        plan.spreadLimit = 0.05
        plan.warmUp = .milliseconds(20)
        plan.burst = .milliseconds(40)
        return plan
    }()
}

/// What the bench harness prints.
struct BenchReport: Decodable {
    var samples: [Double]

    private enum CodingKeys: String, CodingKey {
        case samples = "samples_ms"
        case minimum = "min_ms"
        case median = "median_ms"
        case p95 = "p95_ms"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let least = try container.decode(Double.self, forKey: .minimum)
        let median = try container.decode(Double.self, forKey: .median)
        let p95 = try container.decode(Double.self, forKey: .p95)
        // A user's own runner may print the three figures alone.
        samples = try container.decodeIfPresent([Double].self, forKey: .samples) ?? [least, median, p95]
    }

    /// Reads the last line of what a program printed.
    ///
    /// - Throws: ``HardwareError`` when it is not the expected object with positive figures.
    init(output: String, target: Target) throws(HardwareError) {
        let line = output.split(whereSeparator: \.isNewline).last.map(String.init) ?? ""
        do {
            self = try JSONDecoder().decode(BenchReport.self, from: Data(line.utf8))
        } catch {
            throw HardwareError(
                .programFailed,
                "target \(target.name): expected a last line of JSON with min_ms, median_ms and p95_ms, "
                    + "found '\(line.prefix(120))'")
        }
        guard !samples.isEmpty, samples.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
            throw HardwareError(
                .programFailed, "target \(target.name): expected samples of at least 0 ms, found '\(line.prefix(120))'")
        }
    }
}
