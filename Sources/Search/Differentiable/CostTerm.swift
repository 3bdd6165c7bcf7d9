import RealModule

/// What an architecture costs, as the sum of its choices' costs and a fixed part: multiply-accumulates, parameters, bytes
/// or milliseconds. A fitted latency model is one of these.
public struct AdditiveCost: Hashable, Sendable, Codable {
    public var fixed: Double
    /// The cost of every alternative of every choice point.
    public var table: [[Double]]

    public init(fixed: Double, table: [[Double]]) {
        self.fixed = fixed
        self.table = table
    }

    /// The cost for weights over the alternatives: probabilities give the expectation, a relaxed sample its own cost,
    /// one-hot rows the exact one. The gradient with respect to the weights is the table itself.
    public func callAsFunction(_ weights: [[Double]]) -> Double {
        zip(table, weights).reduce(fixed) { $0 + zip($1.0, $1.1).reduce(0) { $0 + $1.0 * $1.1 } }
    }

    public func callAsFunction(_ choices: [Int]) -> Double { zip(table, choices).reduce(fixed) { $0 + $1.0[$1.1] } }

    /// The cheapest and the dearest architecture.
    public var range: ClosedRange<Double> {
        table.reduce(fixed) { $0 + ($1.min() ?? 0) }...table.reduce(fixed) { $0 + ($1.max() ?? 0) }
    }
}

/// How a cost enters the objective.
///
/// - Source: linear and mean of logs: Xie et al., *SNAS*, 2019; log-product and relative: Cai et al., *ProxylessNAS*, 2019;
///   hinge: Vahdat et al., *UNAS*, 2020; squared: Ci et al., *NSE*, 2021.
public enum CostForm: Hashable, Sendable, Codable {
    /// `weight · cost`
    case linear(weight: Double)
    /// `weight · max(0, cost - target)`
    case hinge(target: Double, weight: Double)
    /// `weight · (cost - target)²`
    case squared(target: Double, weight: Double)
    /// `weight · (cost - target) / target`
    case relative(target: Double, weight: Double)
    /// `loss · alpha · (log cost / log target)^beta` in place of the loss.
    case logProduct(target: Double, alpha: Double, beta: Double)

    /// The objective for a loss and a cost, and its derivatives with respect to both.
    public func callAsFunction(loss: Double, cost: Double) -> (value: Double, byLoss: Double, byCost: Double) {
        switch self {
        case .linear(let weight): return (loss + weight * cost, 1, weight)
        case .hinge(let target, let weight):
            return (loss + weight * max(0, cost - target), 1, cost > target ? weight : 0)
        case .squared(let target, let weight):
            return (loss + weight * (cost - target) * (cost - target), 1, 2 * weight * (cost - target))
        case .relative(let target, let weight): return (loss + weight * (cost - target) / target, 1, weight / target)
        case .logProduct(let target, let alpha, let beta):
            let ratio = Double.log(cost) / Double.log(target)
            let factor = alpha * Double.pow(ratio, beta)
            return (loss * factor, factor, loss * factor * beta / (Double.log(cost) * cost))
        }
    }
}

/// What the architecture is to minimise on data.
///
/// - Source: Vahdat et al., *UNAS*, CVPR 2020, equation 8.
public enum ArchitectureObjective: Hashable, Sendable, Codable {
    case validationLoss
    case trainingLoss
    /// `L_train + weight · |L_validation - L_train|`, example by example.
    case generalizationGap(weight: Double)

    /// The mean over paired examples, and the derivatives with respect to each example's two losses.
    public func callAsFunction(
        training: [Double], validation: [Double]
    ) -> (value: Double, byTraining: [Double], byValidation: [Double]) {
        let n = Double(max(training.count, 1))
        switch self {
        case .validationLoss:
            return (validation.reduce(0, +) / n, training.map { _ in 0 }, validation.map { _ in 1 / n })
        case .trainingLoss: return (training.reduce(0, +) / n, training.map { _ in 1 / n }, validation.map { _ in 0 })
        case .generalizationGap(let weight):
            let signs = zip(training, validation).map { $1 > $0 ? 1.0 : $1 < $0 ? -1.0 : 0 }
            let value = zip(training, validation).reduce(0) { $0 + $1.0 + weight * abs($1.1 - $1.0) } / n
            return (value, signs.map { (1 - weight * $0) / n }, signs.map { weight * $0 / n })
        }
    }
}
