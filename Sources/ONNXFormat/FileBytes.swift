import Glibc

/// Reads files without Foundation, which library targets of this package do not link.
enum FileBytes {
    /// Reads a whole file, or `count` bytes of it from `offset` on.
    ///
    /// - Throws: ``ONNXError`` (`unreadable`) with the system's reason, or (`malformed`) when the range is not inside.
    static func read(_ path: String, offset: Int = 0, count: Int? = nil) throws(ONNXError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw failure("cannot be opened") }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw failure("cannot be read") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw ONNXError(.unreadable, "is not a regular file") }
        let size = Int(status.st_size)
        guard offset >= 0, offset <= size, count.map({ $0 >= 0 && $0 <= size - offset }) ?? true else {
            throw ONNXError(
                .malformed, "bytes \(offset)... (\(count.map(String.init) ?? "all")) lie outside its \(size) bytes")
        }
        let wanted = count ?? size - offset
        var got = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
            while got < wanted {
                let step = pread(file, buffer.baseAddress! + got, wanted - got, off_t(offset + got))
                if step < 0 && errno == EINTR { continue }
                if step <= 0 { break }
                got += step
            }
            filled = got
        }
        guard got == wanted else { throw failure("cannot be read to its end") }
        return bytes
    }

    /// Writes a whole file beside its place and then moves it there, so that no partial file is ever seen.
    ///
    /// - Throws: ``ONNXError`` (`unreadable`) with the system's reason; nothing is left behind then.
    static func write(_ bytes: [UInt8], to path: String) throws(ONNXError) {
        let temporary = "\(path).\(getpid()).part"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw failure("cannot be created") }
        var done = 0
        bytes.withUnsafeBytes { buffer in
            while done < buffer.count {
                let step = Glibc.write(file, buffer.baseAddress! + done, buffer.count - done)
                if step < 0 && errno == EINTR { continue }
                if step <= 0 { break }
                done += step
            }
        }
        let written = done == bytes.count && fsync(file) == 0
        let reason = failure("cannot be written")
        close(file)
        guard written else {
            unlink(temporary)
            throw reason
        }
        guard rename(temporary, path) == 0 else {
            let reason = failure("cannot be written")
            unlink(temporary)
            throw reason
        }
    }

    /// The absolute path without symbolic links, or nil when the file does not exist.
    static func resolve(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The folder part of a path; `.` when it has none.
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The names in a folder, sorted; empty when it cannot be opened.
    static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }

    private static func failure(_ what: String) -> ONNXError {
        ONNXError(.unreadable, "\(what): \(String(cString: strerror(errno)))")
    }
}
