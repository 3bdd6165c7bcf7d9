/// Where the parameters of graphs live: memory that stays where it is as long as the storage lives.
public protocol ParameterStorage: AnyObject {
    /// The memory of the parameter of that name, 64-byte aligned, in row-major order; `nil` when there is none.
    func memory(ofParameter name: String) -> UnsafeMutableRawBufferPointer?
}

/// The storage of graphs without parameters.
public final class NoParameters: ParameterStorage {
    public init() {}
    public func memory(ofParameter name: String) -> UnsafeMutableRawBufferPointer? { nil }
}
