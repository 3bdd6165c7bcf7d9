/// A fault in a target description, a tool, a built program or a measurement.
public struct HardwareError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of fault it is, for callers that react differently to each.
    public enum Code: String, Sendable, Hashable {
        /// A target file that cannot be read or breaks the schema.
        case badTarget
        /// A target name that no file describes.
        case unknownTarget
        /// A compiler, simulator or other program that is not installed.
        case toolMissing
        /// The target's compiler rejected a program.
        case compilerFailed
        /// A built program ended with a failure, or printed something else than expected.
        case programFailed
        /// A process ran past its time limit and was ended.
        case timedOut
        /// The target cannot do what was asked, for instance give a latency.
        case unsupported
        /// The measurement database cannot be used.
        case database
        /// A file or folder cannot be read or written.
        case file
    }

    public var code: Code
    /// The subject first, then what was expected and found, then the remedy.
    public var message: String
    /// Where the fault is, when it is in a file.
    public var location: SourceLocation?

    public init(_ code: Code, _ message: String, at location: SourceLocation? = nil) {
        self.code = code
        self.message = message
        self.location = location
    }

    public var description: String {
        location.map { "\($0): \(message)" } ?? message
    }
}

/// A place in a text file; lines and columns count from one.
public struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
    public var file: String
    public var line: Int
    public var column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    public var description: String { "\(file):\(line):\(column)" }
}
