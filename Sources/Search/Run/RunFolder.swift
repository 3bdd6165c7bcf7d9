import Foundation
import Spaces
import Training

/// The folder of a run, and the only place that knows what is called what in it.
public struct RunFolder: Sendable {
    public let path: String

    public var checkpoints: String { path + "/checkpoints" }
    public var best: String { path + "/best" }
    public var record: String { path + "/run.json" }
    public var trials: String { path + "/trials.jsonl" }
    public var paretoTable: String { path + "/pareto.csv" }
    public var paretoDrawing: String { path + "/pareto.svg" }
    public var report: String { path + "/report.html" }
    public var model: String { best + "/model.onnx" }
    public var c: String { best + "/c" }
    public var weights: String { best + "/weights.safetensors" }

    /// The folder for a new run.
    ///
    /// - Parameter force: Removes what an earlier run left there. Only a folder that holds a run is removed.
    /// - Throws: ``SearchError`` when something is there that may not be overwritten, or the folder cannot be made.
    public init(creating path: String, force: Bool = false) throws(SearchError) {
        self.path = path
        let files = FileManager.default
        if files.fileExists(atPath: path) {
            let entries = (try? files.contentsOfDirectory(atPath: path)) ?? []
            if !entries.isEmpty, !Self.isBarelyBegun(path, entries) {
                guard force else {
                    throw SearchError(
                        .outputExists,
                        "\(path): the folder exists. Choose another, resume it, or replace it with --force")
                }
                guard entries.contains("run.json") else {
                    throw SearchError(
                        .outputExists, "\(path): the folder holds other files than a run, which --force does not remove"
                    )
                }
                do { try files.removeItem(atPath: path) } catch {
                    throw SearchError(
                        .output, "\(path): the earlier run cannot be removed: \(error.localizedDescription)")
                }
            }
        }
        for folder in [path, checkpoints, best] {
            do { try files.createDirectory(atPath: folder, withIntermediateDirectories: true) } catch {
                throw SearchError(.output, "\(folder): the folder cannot be made: \(error.localizedDescription)")
            }
        }
    }

    /// Whether the folder holds no more than what a new run makes before its record: it was killed in between, and
    /// nothing is lost with it.
    private static func isBarelyBegun(_ path: String, _ entries: [String]) -> Bool {
        let files = FileManager.default
        return entries.allSatisfy { entry in
            switch entry {
            case "trials.jsonl": files.contents(atPath: path + "/" + entry)?.isEmpty == true
            case "checkpoints", "best": (try? files.contentsOfDirectory(atPath: path + "/" + entry))?.isEmpty == true
            default: entry.hasPrefix("run.json.tmp-")
            }
        }
    }

    /// The folder of a run to be continued.
    ///
    /// - Throws: ``SearchError`` when it holds no run.
    public init(resuming path: String) throws(SearchError) {
        self.path = path
        guard FileManager.default.fileExists(atPath: record) else {
            throw SearchError(.resume, "\(path): holds no run to resume: there is no run.json")
        }
    }

    /// Writes a whole file; readers see the old one or the new one, never a part.
    public func write(_ text: String, to file: String) throws(StorageError) {
        try FileWriting.replace(file, with: Array(text.utf8))
    }

    /// Writes a value as readable JSON with sorted keys.
    public func write(_ value: some Encodable, to file: String) throws {
        try FileWriting.replace(file, with: Array(try Self.json(value, pretty: true)))
    }

    static func json(_ value: some Encodable, pretty: Bool) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            pretty ? [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value)
    }
}

/// The rows of `trials.jsonl`: appended one by one, each in a single write.
///
/// A run that was killed may leave a torn last line. Opening the log drops it, so that what follows starts on a line of
/// its own; a fault anywhere else is an error.
public struct TrialLog: Sendable {
    public let file: String
    public private(set) var trials: [Trial] = []

    /// Opens the log and keeps the first `count` rows; a checkpoint says how many belong to it.
    ///
    /// - Throws: ``SearchError`` for a damaged row before the last, fewer rows than `count`, or a file that cannot be
    ///   read or written.
    public init(file: String, keeping count: Int? = nil) throws(SearchError) {
        self.file = file
        guard let data = FileManager.default.contents(atPath: file) else {
            guard FileManager.default.createFile(atPath: file, contents: Data()) else {
                throw SearchError(.output, "\(file): cannot be written")
            }
            if let count, count > 0 { throw SearchError(.resume, "\(file): expected \(count) rows, found no file") }
            return
        }
        var kept = 0
        var start = data.startIndex
        while let end = data[start...].firstIndex(of: UInt8(ascii: "\n")) {
            if let count, trials.count == count { break }
            do { trials.append(try JSONDecoder().decode(Trial.self, from: data[start..<end])) } catch {
                throw SearchError(
                    .resume, "\(file):\(trials.count + 1): the row is damaged. Is it from another version?")
            }
            start = data.index(after: end)
            kept = start - data.startIndex
        }
        if let count, trials.count < count {
            throw SearchError(.resume, "\(file): expected \(count) rows, found \(trials.count)")
        }
        if kept < data.count {
            guard truncate(file, off_t(kept)) == 0 else { throw SearchError(.output, "\(file): cannot be written") }
        }
    }

    /// Adds a row.
    ///
    /// - Throws: ``SearchError`` when the row cannot be written whole, as on a full disk.
    public mutating func append(_ trial: Trial) throws(SearchError) {
        do {
            let handle = try FileHandle(forWritingTo: URL(filePath: file))
            defer { try? handle.close() }
            try handle.seekToEnd()
            try handle.write(contentsOf: RunFolder.json(trial, pretty: false) + Data("\n".utf8))
        } catch {
            throw SearchError(.output, "\(file): a row cannot be written: \(error.localizedDescription)")
        }
        trials.append(trial)
    }
}
