/// A parameter that a network reads.
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

    public init(name: String, shape: [Int], role: Role) { (self.name, self.shape, self.role) = (name, shape, role) }
}
