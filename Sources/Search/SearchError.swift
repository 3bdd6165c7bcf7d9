/// A search that cannot start, go on or keep its promise.
public struct SearchError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// Settings that do not make sense, alone or together.
        case configuration
        /// The output folder holds something.
        case outputExists
        /// A file of the run cannot be written.
        case output
        /// There is nothing to resume, or it does not fit.
        case resume
        /// Training broke down.
        case training
        /// The result does not keep a limit or a comparison failed.
        case failed
        /// The user asked to stop; the run can be resumed.
        case interrupted
    }

    public var code: Code
    public var message: String

    public init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }

    public var description: String { message }
}
