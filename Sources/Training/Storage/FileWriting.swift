import Foundation

/// Writes that survive a crash: data reach the disk before the name does.
package enum FileWriting {
    /// Writes a new file and waits until it is on the disk.
    ///
    /// - Throws: ``StorageError`` with code `diskFull` when there is no room.
    static func write(_ bytes: [UInt8], to path: String) throws(StorageError) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw failure("cannot be created", path) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.write(file, $0.baseAddress! + written, bytes.count - written)
            }
            if count < 0 {
                if errno == EINTR { continue }
                let error = failure("\(written) of \(bytes.count) bytes were written", path)
                close(file)
                throw error
            }
            written += count
        }
        // /dev/full and the like refuse the data, never the synchronisation, so EINVAL is no failure.
        if fsync(file) != 0, errno != EINVAL, errno != EROFS {
            let error = failure("cannot be brought to the disk", path)
            close(file)
            throw error
        }
        if close(file) != 0 { throw failure("cannot be closed", path) }
    }

    /// Makes the names in a folder durable.
    static func synchronize(folder: String) throws(StorageError) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("cannot be opened", folder) }
        let result = fsync(descriptor)
        let error = result != 0 && errno != EINVAL ? failure("cannot be brought to the disk", folder) : nil
        close(descriptor)
        if let error { throw error }
    }

    /// Replaces `path` by the new bytes at once: a reader sees the old file or the new one, never a part.
    package static func replace(_ path: String, with bytes: [UInt8]) throws(StorageError) {
        let temporary = path + ".tmp-\(getpid())"
        do throws(StorageError) {
            try write(bytes, to: temporary)
        } catch {
            unlink(temporary)
            throw StorageError(error.code, error.message, file: path)
        }
        guard rename(temporary, path) == 0 else {
            let error = failure("cannot be put in place", path)
            unlink(temporary)
            throw error
        }
        let folder = (path as NSString).deletingLastPathComponent
        try synchronize(folder: folder.isEmpty ? "." : folder)
    }

    static func read(_ path: String) throws(StorageError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw StorageError(
                errno == ENOENT ? .missing : .unreadable, "cannot be opened: \(reason())", file: path)
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw StorageError(.unreadable, "is not a file", file: path)
        }
        let size = Int(status.st_size)
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
            while initialized < size {
                let count = Foundation.read(file, buffer.baseAddress! + initialized, size - initialized)
                if count < 0 && errno == EINTR { continue }
                failed = count < 0
                if count <= 0 { break }
                initialized += count
            }
        }
        if failed { throw StorageError(.unreadable, "cannot be read: \(reason())", file: path) }
        return bytes
    }

    /// The error of the latest system call.
    static func failure(_ what: String, _ path: String) -> StorageError {
        let full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG
        return StorageError(
            full ? .diskFull : .unwritable, "\(what): \(full ? "no room is left on the disk" : reason())", file: path)
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
