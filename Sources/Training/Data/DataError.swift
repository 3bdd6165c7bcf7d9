/// A data set that cannot be read or used as asked. The message names the file, what was expected and found.
public struct DataError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        case missing, unreadable, truncated, wrongFormat, badLabel, mismatch, tooSmall
    }

    public var code: Code
    public var message: String
    /// The file at fault, where there is one.
    public var file: String?

    public init(_ code: Code, _ message: String, file: String? = nil) {
        self.code = code
        self.message = message
        self.file = file
    }

    public var description: String { file.map { "\($0): \(message)" } ?? message }
}
