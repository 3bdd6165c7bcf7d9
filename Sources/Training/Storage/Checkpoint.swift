import Foundation

/// Everything a run needs to go on: files of tensors and JSON documents, with the step they belong to.
public struct Checkpoint: Sendable {
    /// Steps done.
    public var step: Int
    /// Files of tensors by name, without the extension: `weights`, `optimizer`.
    public var tensors: [String: SafeTensors]
    /// JSON documents by name, without the extension: `state`, `search`.
    public var documents: [String: [UInt8]]

    public init(step: Int, tensors: [String: SafeTensors] = [:], documents: [String: [UInt8]] = [:]) {
        self.step = step
        self.tensors = tensors
        self.documents = documents
    }

    /// Stores a value as a JSON document.
    public mutating func store(_ value: some Encodable, as name: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        documents[name] = Array(try encoder.encode(value))
    }

    /// Reads back a stored value.
    ///
    /// - Throws: ``StorageError`` when it is missing or of another kind.
    public func value<T: Decodable>(_ type: T.Type = T.self, of name: String) throws(StorageError) -> T {
        guard let bytes = documents[name] else {
            throw StorageError(
                .missing,
                "the checkpoint of step \(step) holds no document '\(name)'; "
                    + "known: \(documents.keys.sorted().joined(separator: ", "))", file: name + ".json")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw StorageError(.damaged, SafeTensors.summary(error), file: name + ".json")
        }
    }
}

/// What a checkpoint's folder must hold, written last within it.
struct CheckpointManifest: Codable {
    struct File: Codable {
        var name: String
        var bytes: Int
        var sha256: String
    }
    var format: Int
    var step: Int
    var files: [File]

    static let name = "manifest.json"
    static let format = 1
}
