/// A graph that cannot be run as asked.
public struct ExecutionError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// A parameter is missing from the storage, or has another size.
        case parameter
        /// An input is missing, or has another size.
        case input
        /// An operator has neither a kernel nor a definition.
        case unsupported
        /// The system gave no memory or no thread.
        case resources
    }

    public var code: Code
    public var description: String

    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
