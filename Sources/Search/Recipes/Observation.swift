/// What a differentiable search looks like at one step.
public struct Observation: Codable, Hashable, Sendable {
    /// The alternative of a site that weighs most.
    public struct Leader: Codable, Hashable, Sendable {
        public var site: String
        public var alternative: String
        public var weight: Double
    }

    /// Weight steps done, and of how many.
    public var step: Int
    public var steps: Int
    public var architectureSteps: Int
    /// Of the choices, relative to equal weights, averaged.
    public var entropy: Double
    /// The share of sites whose leader passes its input on unchanged.
    public var skipShare: Double
    public var leaders: [Leader]
    public var trainingLoss: Double
    /// Of the mixture, on images that give no gradient.
    public var validationLoss: Double
    public var validationAccuracy: Double
    /// How much higher the loss of the discretised network is with the same weights.
    public var discretizationGap: Double
    /// In units of the limit or of the space's mean, where the recipe has a cost term.
    public var expectedCost: Double?

    /// The mean weight of the leaders.
    public var confidence: Double { SampleStatistics.mean(leaders.map(\.weight)) }
}
