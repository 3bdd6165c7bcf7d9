import RealModule

/// The categorical distribution of one choice point: probabilities from logits.
public struct Categorical: Hashable, Sendable {
    public let logits: [Double]
    /// `softmax(logits)`.
    public let probabilities: [Double]

    public init(logits: [Double]) {
        self.logits = logits
        probabilities = softmax(logits)
    }

    /// `∂ log p[index] / ∂ logits`.
    public func scoreFunction(of index: Int) -> [Double] {
        probabilities.enumerated().map { ($0 == index ? 1 : 0) - $1 }
    }

    /// In nats.
    public var entropy: Double { -probabilities.reduce(0) { $0 + ($1 > 0 ? $1 * Double.log($1) : 0) } }

    /// The gradient with respect to the logits of a function of the probabilities.
    public func pullback(_ gradient: [Double]) -> [Double] {
        let mean = zip(probabilities, gradient).reduce(0) { $0 + $1.0 * $1.1 }
        return zip(probabilities, gradient).map { $0 * ($1 - mean) }
    }
}

/// `exp(x) / Σ exp(x)`, without overflow.
public func softmax(_ x: [Double]) -> [Double] {
    let top = x.max() ?? 0
    let powers = x.map { Double.exp($0 - top) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
}

/// The index of the largest value, the first of equals.
public func argmax(_ x: [Double]) -> Int { x.indices.max { x[$0] < x[$1] || (x[$0] == x[$1] && $0 > $1) } ?? 0 }
