import RealModule

/// A number that changes over a run, such as the learning rate: a function of the step and the number of steps.
public indirect enum RateSchedule: Codable, Hashable, Sendable {
    case constant(Double)
    /// Half a cosine wave from the first value to the second.
    ///
    /// - Source: Loshchilov and Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*, ICLR 2017, equation 5.
    case cosine(from: Double, to: Double = 0)
    case linear(from: Double, to: Double = 0)
    /// Multiplied by `factor` when each of the given fractions of the run is done.
    case step(from: Double, factor: Double = 0.1, at: [Double])
    /// Rises linearly over the first `steps`, from `start` times the first value of the schedule that follows; that
    /// one runs over the steps left.
    case warmUp(steps: Int, start: Double = 0, then: RateSchedule)

    /// The value for step `step` of `0 ..< total`.
    public func value(at step: Int, of total: Int) -> Double {
        let done = total > 0 ? min(1, max(0, Double(step) / Double(total))) : 0
        switch self {
        case .constant(let value):
            return value
        case .cosine(let from, let to):
            return to + (from - to) * 0.5 * (1 + Double.cos(.pi * done))
        case .linear(let from, let to):
            return from + (to - from) * done
        case .step(let from, let factor, let milestones):
            return milestones.reduce(from) { $1 <= done ? $0 * factor : $0 }
        case .warmUp(let steps, let start, let then):
            guard step < steps else { return then.value(at: step - steps, of: total - steps) }
            // The last warm-up step comes just before the full value, and the first moves already.
            let share = Double(step + 1) / Double(steps + 1)
            return then.value(at: 0, of: total - steps) * (start + (1 - start) * share)
        }
    }
}
