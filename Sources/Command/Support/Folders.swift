import CodeGeneration
import Foundation
import Hardware
import Training

/// Folders that commands write into.
enum Folders {
    /// Where builds are kept: `martlet` below `$XDG_CACHE_HOME`, or below `~/.cache`.
    static var cache: String {
        let environment = ProcessInfo.processInfo.environment
        let base = environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory() + "/.cache"
        return base + "/martlet"
    }

    /// Calls `body` with a folder that is removed afterwards.
    static func withTemporary<T>(_ body: (String) throws -> T) throws -> T {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        ScratchPaths.insert(folder.path)
        defer {
            ScratchPaths.remove(folder.path)
            try? FileManager.default.removeItem(at: folder)
        }
        return try body(folder.path)
    }

    /// Writes one file, whole or not at all; what is no regular file, such as a device, is written in place.
    ///
    /// - Throws: ``Failure`` when it cannot be written, as on a full disk.
    static func write(_ data: Data, to path: String) throws {
        var status = stat()
        let isSpecial = stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
        do {
            if isSpecial {
                let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
                try handle.write(contentsOf: data)
                try handle.close()
            } else {
                try FileWriting.replace(path, with: Array(data))
            }
        } catch let error as StorageError {
            throw Failure(.badInput, "\(error)")
        } catch {
            throw Failure(.badInput, "\(path): cannot be written: \(Self.reason(error))")
        }
    }

    /// The system's reason inside of Foundation's error, such as a full disk, where there is one.
    static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        for candidate in [error as NSError, underlying].compactMap({ $0 }) where candidate.domain == NSPOSIXErrorDomain
        {
            return String(cString: strerror(Int32(candidate.code)))
        }
        return error.localizedDescription
    }

    /// Makes a folder and those above it; Foundation's error would not say why it cannot.
    private static func makeFolder(_ folder: URL, called path: String) throws {
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            let cause = mkdir(folder.path, 0o777) == 0 ? 0 : errno
            guard cause != 0 else { return }
            throw Failure(.badInput, "\(path): cannot be written: \(String(cString: strerror(cause)))")
        }
    }

    /// Writes files into a folder that appears whole or not at all.
    ///
    /// - Throws: ``Failure`` when the folder exists and may not be replaced, or cannot be written.
    static func write(_ files: [CProgram.File], to path: String, force: Bool) throws {
        let manager = FileManager.default
        let folder = URL(fileURLWithPath: path).standardizedFileURL
        if manager.fileExists(atPath: folder.path), !force {
            throw Failure(.badInput, "\(path): exists already; --force replaces it")
        }
        let scratch = folder.deletingLastPathComponent().appendingPathComponent(
            ".\(folder.lastPathComponent).\(ProcessInfo.processInfo.processIdentifier).new")
        ScratchPaths.insert(scratch.path)
        defer { ScratchPaths.remove(scratch.path) }
        do {
            try makeFolder(scratch, called: path)
            for file in files {
                do throws(StorageError) {
                    try FileWriting.replace(scratch.appendingPathComponent(file.name).path, with: file.contents)
                } catch {
                    throw Failure(.badInput, "\(path)/\(file.name): \(error.message)")
                }
            }
            if manager.fileExists(atPath: folder.path) {
                // The old folder steps aside first, so that no moment shows a mixture.
                let old = scratch.deletingPathExtension().appendingPathExtension("old")
                try manager.moveItem(at: folder, to: old)
                try manager.moveItem(at: scratch, to: folder)
                try manager.removeItem(at: old)
            } else {
                try manager.moveItem(at: scratch, to: folder)
            }
        } catch {
            try? manager.removeItem(at: scratch)
            if let failure = error as? Failure { throw failure }
            throw Failure(.badInput, "\(path): cannot be written: \(reason(error))")
        }
    }
}
