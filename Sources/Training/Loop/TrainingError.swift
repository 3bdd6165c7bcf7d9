/// Why training stopped. The message says what to do next.
public struct TrainingError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// A loss or gradient that is NaN or infinite.
        case nonFinite
        /// The caller asked to stop; a checkpoint was written.
        case cancelled
        /// A network, batch or checkpoint that does not fit the rest.
        case mismatch
    }

    public var code: Code
    public var message: String
    /// Steps done when it happened.
    public var step: Int

    public init(_ code: Code, _ message: String, step: Int) {
        self.code = code
        self.message = message
        self.step = step
    }

    public var description: String { message }
}
