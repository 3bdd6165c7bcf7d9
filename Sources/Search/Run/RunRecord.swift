import Spaces

/// What `run.json` says: how the run was asked for, and what came of it.
public struct RunRecord: Codable, Sendable {
    /// A limit and what the winner needs of it.
    public struct Limit: Hashable, Codable, Sendable {
        public var name: String
        public var limit: Double
        public var unit: Constraint.Unit
        public var winner: Double?

        public init(name: String, limit: Double, unit: Constraint.Unit, winner: Double? = nil) {
            (self.name, self.limit, self.unit, self.winner) = (name, limit, unit, winner)
        }
    }

    /// How long a part of the run took.
    public struct Phase: Hashable, Codable, Sendable {
        public var name: String
        public var seconds: Double

        public init(name: String, seconds: Double) { (self.name, self.seconds) = (name, seconds) }
    }

    /// How well the latency model predicts candidates it was not fitted to.
    public struct ModelQuality: Hashable, Codable, Sendable {
        /// A share of each latency, averaged.
        public var heldOutError: Double
        public var kendall: Double
        public var measured: Int

        public init(heldOutError: Double, kendall: Double, measured: Int) {
            (self.heldOutError, self.kendall, self.measured) = (heldOutError, kendall, measured)
        }
    }

    public struct Winner: Hashable, Codable, Sendable {
        public var architecture: Architecture
        public var text: String
        public var testAccuracy: Double
        public var validationAccuracy: Double
        /// Milliseconds: the median on the target, its spread and 95th percentile.
        public var latency: Double
        public var latencySpread: Double
        public var latencyP95: Double
        public var macs: Double
        public var weights: Double
        /// Bytes of weights, constants and code in the target's object files.
        public var flash: Double?
        /// The largest differences of the ONNX file and of the C program from the reference.
        public var onnxError: Double?
        public var cError: Double?

        public init(
            architecture: Architecture, text: String, testAccuracy: Double, validationAccuracy: Double, latency: Double,
            latencySpread: Double, latencyP95: Double, macs: Double, weights: Double
        ) {
            (self.architecture, self.text) = (architecture, text)
            (self.testAccuracy, self.validationAccuracy) = (testAccuracy, validationAccuracy)
            (self.latency, self.latencySpread, self.latencyP95) = (latency, latencySpread, latencyP95)
            (self.macs, self.weights) = (macs, weights)
        }
    }

    /// A step of the winner's program and what it takes of one inference.
    public struct Step: Hashable, Codable, Sendable {
        public var name: String
        public var milliseconds: Double

        public init(name: String, milliseconds: Double) { (self.name, self.milliseconds) = (name, milliseconds) }
    }

    public var formatVersion = 1
    /// What the run was asked to do; resuming goes by it.
    public var configuration: SearchConfiguration?
    public var name: String
    public var status: String
    public var seed: UInt64
    public var algorithm: String
    public var space: String
    public var data: String
    public var target: String
    public var versions: [String: String]
    /// The configuration in words, in the order to be shown.
    public var settings: [[String]]
    public var limits: [Limit]
    public var phases: [Phase] = []
    public var model: ModelQuality?
    public var winner: Winner?
    /// Where an inference of the winner spends its time, in order; absent where the target's steps cannot be timed.
    public var steps: [Step]?
    /// The drawing's contents.
    public var sketch: NetworkSketch?
    /// How to run the C, a line each.
    public var howToRun: [String] = []

    public init(
        name: String, status: String, seed: UInt64, algorithm: String, space: String, data: String, target: String,
        versions: [String: String], settings: [[String]], limits: [Limit]
    ) {
        (self.name, self.status, self.seed, self.algorithm) = (name, status, seed, algorithm)
        (self.space, self.data, self.target, self.versions) = (space, data, target, versions)
        (self.settings, self.limits) = (settings, limits)
    }
}
