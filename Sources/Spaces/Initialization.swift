import IR

/// How a parameter begins.
public enum Initialization: Hashable, Sendable {
    case constant(Double)
    /// Normal with mean zero.
    case normal(deviation: Double)

    /// Normal with the variance that keeps the size of gradients through rectifiers.
    ///
    /// - Source: He et al., *Delving Deep into Rectifiers*, ICCV 2015, section 2.2 (the backward case).
    public static func he(fanOut: Int) -> Initialization { .normal(deviation: (2 / Double(fanOut)).squareRoot()) }

    public func values(_ count: Int, using random: inout RandomSource) -> [Float] {
        switch self {
        case .constant(let value): [Float](repeating: Float(value), count: count)
        case .normal(let deviation): (0..<count).map { _ in Float(random.normal(deviation: deviation)) }
        }
    }
}

/// A parameter that a network reads: what a store needs to make it.
public struct NetworkParameter: Hashable, Sendable {
    public enum Role: Hashable, Sendable {
        /// Learned by gradient.
        case weight
        /// A mean or variance that batch normalisation reads, measured by calibration.
        case statistic
    }

    public var name: String
    public var shape: [Int]
    public var role: Role
    public var initialization: Initialization

    public init(name: String, shape: [Int], role: Role, initialization: Initialization) {
        (self.name, self.shape, self.role, self.initialization) = (name, shape, role, initialization)
    }

    /// Initial values; they depend on the seed and the parameter's name alone, not on the order of creation.
    public func initialValues(seed: RandomSource) -> [Float] {
        var random = seed.fork(name)
        return initialization.values(shape.reduce(1, *), using: &random)
    }
}
