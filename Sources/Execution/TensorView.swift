public import IR

/// A tensor in an executor's memory, valid until the next run in the same arena.
public struct TensorView {
    public let type: TensorType
    private let bytes: UnsafeMutableRawBufferPointer
    /// Keeps the memory alive.
    private let owner: AnyObject

    init(_ type: TensorType, _ base: UnsafeMutableRawPointer, owner: AnyObject) {
        self.type = type
        bytes = UnsafeMutableRawBufferPointer(start: base, count: type.byteCount)
        self.owner = owner
    }

    /// Calls `body` with the stored bytes, in the order of the type's layout.
    public func withUnsafeBytes<T, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> T) throws(E) -> T {
        try body(UnsafeRawBufferPointer(bytes))
    }

    /// A copy of the values in row-major order.
    public var literal: Literal { Literal(type, stored: UnsafeRawBufferPointer(bytes)) }

    /// A copy of the values in row-major order as `Float`.
    public var floats: [Float] { literal.floats }

    /// The value of a tensor with one element.
    public var scalar: Double {
        precondition(type.count == 1, "a scalar is read from a tensor with one element, found \(type)")
        return literal.reals[0]
    }
}
