/// A file of weights or a checkpoint that cannot be written, or must not be read. The message names the file first.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        case missing, unreadable, damaged, unsupported, mismatch, diskFull, unwritable
    }

    public var code: Code
    public var message: String
    public var file: String

    public init(_ code: Code, _ message: String, file: String) {
        self.code = code
        self.message = message
        self.file = file
    }

    public var description: String { "\(file): \(message)" }
}
