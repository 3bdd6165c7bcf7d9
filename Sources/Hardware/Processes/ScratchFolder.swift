import Foundation

/// A new folder with a name of its own, removed when its last user lets go of it.
final class ScratchFolder: Sendable {
    let path: String

    /// - Throws: ``HardwareError`` when the folder cannot be made.
    init(in parent: String = NSTemporaryDirectory()) throws(HardwareError) {
        do {
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        } catch {
            throw HardwareError(.file, "\(parent): the folder cannot be made: \(error.localizedDescription)")
        }
        var template = Array((parent + (parent.hasSuffix("/") ? "" : "/") + "martlet-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw HardwareError(.file, "\(parent): no folder can be made in it: \(String(cString: strerror(errno)))")
        }
        let made = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        path = URL(fileURLWithPath: made).path
        ScratchPaths.insert(path)
    }

    deinit {
        ScratchPaths.remove(path)
        try? FileManager.default.removeItem(atPath: path)
    }

    func write(_ bytes: [UInt8], to name: String) throws(HardwareError) {
        let file = path + "/" + name
        do {
            try Data(bytes).write(to: URL(fileURLWithPath: file))
        } catch {
            throw HardwareError(.file, "\(file): cannot be written: \(error.localizedDescription)")
        }
    }

    func read(_ name: String) throws(HardwareError) -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: path + "/" + name) else {
            throw HardwareError(.file, "\(path)/\(name): cannot be read")
        }
        return Array(data)
    }

    /// Gives the folder its final name at once; where another process was faster, its work is as good.
    func keep(as place: String) throws(HardwareError) -> String {
        if rename(path, place) == 0 || errno == EEXIST || errno == ENOTEMPTY { return place }
        throw HardwareError(.file, "\(place): the build cannot be moved there: \(String(cString: strerror(errno)))")
    }
}
