import RealModule

/// Decides when the architecture moves: when the weights are locally settled, judged by the trace of the empirical
/// Fisher information of the minibatch.
///
/// Before every weight step: if the smoothed trace is below the threshold, take an architecture step and lower the
/// threshold by `growth^-frequency`; otherwise raise it by `growth`. In the long run exactly one architecture step comes
/// to `frequency` other iterations, whatever the trace does.
///
/// - Source: Maile et al., *On Constrained Optimization in Differentiable NAS*, 2021, section 4.2.
public struct FisherSchedule: Hashable, Sendable, Codable {
    public let frequency: Double
    public let growth: Double
    public let smoothing: Double
    public private(set) var threshold = 1.0
    public private(set) var trace: Double?

    public init(frequency: Double = 10, growth: Double = 1.05, smoothing: Double = 0.2) {
        self.frequency = frequency
        self.growth = growth
        self.smoothing = smoothing
    }

    /// Takes in the sum of squares of a training gradient.
    public mutating func observe(_ squaredNorm: Double) {
        trace = trace.map { smoothing * squaredNorm + (1 - smoothing) * $0 } ?? squaredNorm
    }

    /// Whether this iteration starts with an architecture step; the threshold moves accordingly.
    public mutating func isArchitectureStepDue() -> Bool {
        if let trace, trace > 0, trace < threshold {
            threshold *= Double.pow(growth, -frequency)
            return true
        }
        threshold *= growth
        return false
    }
}
