import Foundation
import IR

/// A folder of checkpoints. Each is a folder of its own that appears at once when complete; the latest two are kept.
///
/// A process killed at any moment leaves whole checkpoints, and at most a temporary folder that the next save removes.
public struct CheckpointStore: Sendable {
    public let folder: URL
    /// How many checkpoints are kept.
    public let keeps: Int
    private let write: @Sendable ([UInt8], String) throws(StorageError) -> Void

    public init(folder: URL, keeps: Int = 2) {
        self.init(folder: folder, keeps: keeps, write: FileWriting.write)
    }

    init(folder: URL, keeps: Int = 2, write: @escaping @Sendable ([UInt8], String) throws(StorageError) -> Void) {
        precondition(keeps >= 1, "a checkpoint store keeps at least one")
        self.folder = folder
        self.keeps = keeps
        self.write = write
    }

    /// The folder of a step's checkpoint.
    public func folder(ofStep step: Int) -> URL {
        let digits = String(step)
        let name = Self.prefix + String(repeating: "0", count: max(0, 10 - digits.count)) + digits
        return folder.appendingPathComponent(name, isDirectory: true)
    }

    /// The steps of which there is a checkpoint, latest first.
    public func steps() -> [Int] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasPrefix(Self.prefix) }.compactMap { Int($0.dropFirst(Self.prefix.count)) }.sorted(
            by: >)
    }

    /// Writes a checkpoint, then removes the oldest beyond those to keep.
    ///
    /// - Throws: ``StorageError``; what was there before is untouched then.
    @discardableResult
    public func save(_ checkpoint: Checkpoint) throws(StorageError) -> URL {
        let files = FileManager.default
        do {
            try files.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw StorageError(.unwritable, "cannot be created: \(error.localizedDescription)", file: folder.path)
        }
        tidy()
        let temporary = folder.appendingPathComponent("\(Self.temporaryPrefix)\(checkpoint.step)-\(getpid())")
        do throws(StorageError) {
            try fill(temporary, checkpoint)
            try putInPlace(temporary, step: checkpoint.step)
        } catch {
            try? files.removeItem(at: temporary)
            let kept = steps().first.map { " The checkpoint of step \($0) is intact." } ?? ""
            throw StorageError(
                error.code, "\(error.message). The checkpoint of step \(checkpoint.step) was not saved.\(kept)",
                file: error.file)
        }
        for step in steps().dropFirst(keeps) { try? files.removeItem(at: folder(ofStep: step)) }
        return folder(ofStep: checkpoint.step)
    }

    /// The latest checkpoint that is whole, and why later ones were refused; `nil` when there is none at all.
    ///
    /// - Throws: the first refusal, when there are checkpoints but none is whole.
    public func latest() throws(StorageError) -> (checkpoint: Checkpoint, refused: [StorageError])? {
        tidy()
        var refused: [StorageError] = []
        for step in steps() {
            do throws(StorageError) {
                return (try load(step: step), refused)
            } catch {
                refused.append(error)
            }
        }
        if let first = refused.first { throw first }
        return nil
    }

    /// Reads a checkpoint and checks every file's length and hash.
    ///
    /// - Throws: ``StorageError`` naming the file that is missing or damaged.
    public func load(step: Int) throws(StorageError) -> Checkpoint {
        let place = folder(ofStep: step)
        let path = place.appendingPathComponent(CheckpointManifest.name).path
        let manifest: CheckpointManifest
        let text = try FileWriting.read(path)
        do {
            manifest = try JSONDecoder().decode(CheckpointManifest.self, from: Data(text))
        } catch {
            throw StorageError(.damaged, "is no checkpoint's manifest: \(SafeTensors.summary(error))", file: path)
        }
        guard manifest.format == CheckpointManifest.format else {
            throw StorageError(
                .unsupported, "expected checkpoint format \(CheckpointManifest.format), found \(manifest.format)",
                file: path)
        }
        guard manifest.step == step else {
            throw StorageError(.damaged, "is of step \(manifest.step), expected \(step)", file: path)
        }
        var checkpoint = Checkpoint(step: step)
        for file in manifest.files {
            let path = place.appendingPathComponent(file.name).path
            guard !file.name.contains("/") else { throw StorageError(.damaged, "lies outside its folder", file: path) }
            let bytes = try FileWriting.read(path)
            guard bytes.count == file.bytes else {
                throw StorageError(.damaged, "expected \(file.bytes) bytes, found \(bytes.count)", file: path)
            }
            guard Digest(of: bytes).description == file.sha256 else {
                throw StorageError(.damaged, "its SHA-256 is not that of the manifest", file: path)
            }
            let stem = (file.name as NSString).deletingPathExtension
            if file.name.hasSuffix(Self.tensorExtension) {
                checkpoint.tensors[stem] = try SafeTensors(decoding: bytes, file: path)
            } else {
                checkpoint.documents[stem] = bytes
            }
        }
        return checkpoint
    }

    private static let prefix = "step-"
    private static let temporaryPrefix = ".partial-"
    private static let replacedPrefix = ".replaced-"
    private static let tensorExtension = ".safetensors"

    private func fill(_ place: URL, _ checkpoint: Checkpoint) throws(StorageError) {
        guard mkdir(place.path, 0o755) == 0 || errno == EEXIST else {
            throw FileWriting.failure("cannot be created", place.path)
        }
        var manifest = CheckpointManifest(format: CheckpointManifest.format, step: checkpoint.step, files: [])
        var files = checkpoint.tensors.map { ($0.key + Self.tensorExtension, $0.value.encoded()) }
        files += checkpoint.documents.map { ($0.key + ".json", $0.value) }
        for (name, bytes) in files.sorted(by: { $0.0 < $1.0 }) {
            try write(bytes, place.appendingPathComponent(name).path)
            manifest.files.append(.init(name: name, bytes: bytes.count, sha256: Digest(of: bytes).description))
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        let path = place.appendingPathComponent(CheckpointManifest.name).path
        do {
            try write(Array(try encoder.encode(manifest)), path)
        } catch let error as StorageError {
            throw error
        } catch {
            throw StorageError(.unwritable, "\(error)", file: path)
        }
        try FileWriting.synchronize(folder: place.path)
    }

    private func putInPlace(_ temporary: URL, step: Int) throws(StorageError) {
        let final = folder(ofStep: step).path
        if FileManager.default.fileExists(atPath: final) {
            // The same step saved again, after a resume. Killed between the two renames, `tidy` puts the old one back.
            let replaced = folder.appendingPathComponent("\(Self.replacedPrefix)\(step)-\(getpid())").path
            guard rename(final, replaced) == 0 else { throw FileWriting.failure("cannot be replaced", final) }
        }
        guard rename(temporary.path, final) == 0 else { throw FileWriting.failure("cannot be put in place", final) }
        try FileWriting.synchronize(folder: folder.path)
        tidy()
    }

    /// Removes what a killed process left half done.
    private func tidy() {
        let files = FileManager.default
        for name in (try? files.contentsOfDirectory(atPath: folder.path)) ?? [] {
            let place = folder.appendingPathComponent(name)
            if name.hasPrefix(Self.replacedPrefix) {
                let step = name.dropFirst(Self.replacedPrefix.count).split(separator: "-").first.flatMap { Int($0) }
                if let step, rename(place.path, folder(ofStep: step).path) == 0 { continue }
                try? files.removeItem(at: place)
            } else if name.hasPrefix(Self.temporaryPrefix) {
                try? files.removeItem(at: place)
            }
        }
    }
}
