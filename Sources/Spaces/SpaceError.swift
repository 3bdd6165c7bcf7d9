/// A fault in a description of a search space, or in the text of one of its architectures.
public struct SpaceError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// The file is not readable, or not YAML.
        case syntax
        /// A key, block, operator or space that does not exist here.
        case unknown
        /// A value of the wrong kind or outside its range.
        case value
        /// Something required is not there.
        case missing
        /// Parts that are right alone and wrong together.
        case conflict
    }

    public var code: Code
    public var message: String
    /// The file, as given, or nothing when the text came from elsewhere.
    public var file: String
    /// The line and column, from 1; zero when the fault has no single place.
    public var line: Int
    public var column: Int

    public init(_ code: Code, _ message: String, file: String = "", line: Int = 0, column: Int = 0) {
        (self.code, self.message, self.file, self.line, self.column) = (code, message, file, line, column)
    }

    public var description: String {
        guard line > 0 else { return file.isEmpty ? message : "\(file): \(message)" }
        return "\(file.isEmpty ? "text" : file):\(line):\(column): \(message)"
    }
}
