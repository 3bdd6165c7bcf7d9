import CZlib
import Foundation

/// Reads whole files, gzip-compressed or not (told apart by their first bytes).
enum CompressedFile {
    /// The file of the given name, or with `.gz` behind it, whichever exists.
    static func find(_ name: String, in folder: URL) -> URL? {
        for candidate in [name, name + ".gz"] {
            let url = folder.appendingPathComponent(candidate)
            if FileManager.default.fileExists(atPath: url.path) { return url }
        }
        return nil
    }

    /// - Throws: ``DataError`` for a file that is missing, cannot be read, or whose compressed data are damaged.
    static func read(_ url: URL) throws(DataError) -> [UInt8] {
        guard let file = gzopen(url.path, "rb") else {
            throw DataError(
                errno == ENOENT ? .missing : .unreadable, "cannot be opened: \(String(cString: strerror(errno)))",
                file: url.path)
        }
        gzbuffer(file, 1 << 17)
        var bytes: [UInt8] = []
        let chunk = 1 << 20
        var failure: String?
        while true {
            let part = [UInt8](unsafeUninitializedCapacity: chunk) { buffer, initialized in
                initialized = max(0, Int(gzread(file, buffer.baseAddress, UInt32(chunk))))
            }
            bytes += part
            var code: Int32 = 0
            let text = gzerror(file, &code).map { String(cString: $0) } ?? ""
            if code != Z_OK && code != Z_STREAM_END { failure = text.isEmpty ? "read error" : text }
            if part.count < chunk { break }
        }
        let closed = gzclose(file)
        if let failure {
            throw DataError(.truncated, "damaged or cut short: \(failure). Fetch it again.", file: url.path)
        }
        guard closed == Z_OK else {
            throw DataError(.truncated, "the compressed data end too early. Fetch it again.", file: url.path)
        }
        return bytes
    }
}
