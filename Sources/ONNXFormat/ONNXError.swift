/// Why an ONNX file, or a tensor file of a test case, was refused.
public struct ONNXError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// The file cannot be opened, read or written.
        case unreadable
        /// The bytes contradict the format: truncated, lying sizes, duplicated or missing names, cycles.
        case malformed
        /// Data that the file refers to is not there, or lies outside the model's folder.
        case missingData
        /// Legal ONNX that this reader, importer or exporter does not serve.
        case unsupported
        /// A symbolic dimension that has no value yet.
        case openDimension
        /// An option or a given tensor that does not fit the model.
        case mismatch
        /// The graph cannot be expressed, or libonnx refused what was written.
        case invalidExport
    }

    public var code: Code
    /// The file's path or the name the caller gave to the bytes.
    public var file: String?
    /// The node, initialiser or value concerned, such as `node 'conv1' (Conv)`.
    public var subject: String?
    /// What was expected, what was found, and where it helps the remedy.
    public var cause: String

    public init(_ code: Code, file: String? = nil, subject: String? = nil, _ cause: String) {
        self.code = code
        self.file = file
        self.subject = subject
        self.cause = cause
    }

    public var description: String {
        [file, subject, cause].compactMap { $0 }.joined(separator: ": ")
    }

    /// This error with the file filled in where it is not known yet.
    func naming(file: String) -> ONNXError {
        var error = self
        error.file = error.file ?? file
        return error
    }

    /// This error with the subject filled in, or put before the one it has.
    func naming(subject: String) -> ONNXError {
        var error = self
        error.subject = error.subject.map { "\(subject): \($0)" } ?? subject
        return error
    }
}
