public import IR

/// A parameter's values and what an optimizer keeps beside them, in aligned memory that never moves.
public final class StoredTensor {
    /// What a parameter is for.
    public enum Kind: String, Codable, Sendable {
        /// Learned by gradient.
        case weight
        /// Measured, such as batch norm's running mean; no optimizer touches it.
        case statistic
    }

    public let name: String
    public let shape: [Int]
    public let kind: Kind
    public let values: UnsafeMutableBufferPointer<Float>
    /// Optimizer updates so far: the time of Adam's bias correction, counted by parameter because a parameter may sit
    /// out any number of steps.
    public internal(set) var updates = 0
    /// The optimizer's arrays by slot; empty until the first update.
    private(set) var slots: [UnsafeMutableBufferPointer<Float>] = []

    init(_ name: String, shape: [Int], kind: Kind) {
        self.name = name
        self.shape = shape
        self.kind = kind
        values = aligned(shape.reduce(1, *), zero: 0)
    }

    deinit {
        for buffer in slots + [values] { buffer.baseAddress.map { UnsafeMutableRawPointer($0).deallocate() } }
    }

    public var count: Int { values.count }

    /// A copy of the values.
    public var literal: Literal { Literal(Array(values), shape: shape) }

    /// Copies the values of a literal of the same count.
    func assign(_ floats: [Float]) {
        precondition(floats.count == count, "parameter \(name) has \(count) values, found \(floats.count)")
        _ = values.update(fromContentsOf: floats)
    }

    func prepareSlots(_ count: Int) {
        while slots.count < count { slots.append(aligned(self.count, zero: 0)) }
    }

    func dropSlots() {
        for buffer in slots { buffer.baseAddress.map { UnsafeMutableRawPointer($0).deallocate() } }
        slots = []
        updates = 0
    }
}
