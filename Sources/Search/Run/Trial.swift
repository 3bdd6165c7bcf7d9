import Spaces

/// One row of a run's `trials.jsonl`: an architecture, and what was found out about it.
public struct Trial: Hashable, Codable, Sendable {
    public enum Kind: String, Codable, Hashable, Sendable {
        /// Compiled and timed to fit the latency model.
        case calibration
        /// Evaluated with inherited weights.
        case candidate
        /// A leader of the search, measured again.
        case finalist
        /// Retrained and exported.
        case winner
        /// What a differentiable search would take at one step.
        case observation
    }

    public var index: Int
    public var kind: Kind
    public var architecture: Architecture
    /// The readable form.
    public var text: String
    /// A share of 1: of validation images, or of test images for the winner.
    public var accuracy: Double?
    /// In milliseconds, by the model.
    public var predictedLatency: Double?
    /// In milliseconds, the median on the target.
    public var measuredLatency: Double?
    /// Other costs by constraint name, in their units.
    public var costs: [String: Double]
    /// Since the run began.
    public var seconds: Double
    /// The state of a differentiable search.
    public var observation: Observation?

    public init(
        index: Int, kind: Kind, architecture: Architecture, text: String, accuracy: Double? = nil,
        predictedLatency: Double? = nil, measuredLatency: Double? = nil, costs: [String: Double] = [:], seconds: Double,
        observation: Observation? = nil
    ) {
        (self.index, self.kind, self.architecture, self.text) = (index, kind, architecture, text)
        (self.accuracy, self.predictedLatency, self.measuredLatency) = (accuracy, predictedLatency, measuredLatency)
        (self.costs, self.seconds, self.observation) = (costs, seconds, observation)
    }

    /// The measured latency, or else the predicted one.
    public var latency: Double? { measuredLatency ?? predictedLatency }
}
