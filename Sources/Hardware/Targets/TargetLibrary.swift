import Foundation

/// Finds targets by name: the ones that come with the package, those of a user's folder, or a single file.
public struct TargetLibrary: Sendable {
    private struct Entry: Sendable {
        let name: String
        let file: String
        let text: String
    }

    private let entries: [Entry]

    /// The targets that come with the package; they are part of the program, so an installed command needs no files.
    public init() {
        entries = TargetLibrary.shipped.map { name, bytes in
            Entry(name: name, file: "targets/\(name).yaml", text: String(decoding: bytes, as: UTF8.self))
        }
    }

    /// The targets of a folder, each file named after its target.
    ///
    /// - Throws: ``HardwareError`` when the folder cannot be read or holds no `.yaml` file.
    public init(folder: String) throws(HardwareError) {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }
                .sorted()
        } catch {
            throw HardwareError(.file, "\(folder): the folder of targets cannot be read")
        }
        guard !names.isEmpty else { throw HardwareError(.file, "\(folder): expected .yaml files, found none") }
        var entries: [Entry] = []
        for name in names {
            let path = folder + "/" + name
            entries.append(Entry(name: String(name.dropLast(5)), file: path, text: try TargetLibrary.text(of: path)))
        }
        self.entries = entries
    }

    /// All names, in ascending order.
    public var names: [String] { entries.map(\.name) }

    /// The target of that name, or the one that a path to a `.yaml` file describes.
    ///
    /// - Throws: ``HardwareError`` for an unknown name, and for any fault in the file.
    public func target(_ name: String) throws(HardwareError) -> Target {
        if name.hasSuffix(".yaml") || name.contains("/") {
            return try Target(yaml: try TargetLibrary.text(of: name), file: name)
        }
        guard let entry = entries.first(where: { $0.name == name }) else {
            throw HardwareError(
                .unknownTarget,
                "unknown target '\(name)'; known: \(names.joined(separator: ", ")), or the path of a .yaml file")
        }
        let target = try Target(yaml: entry.text, file: entry.file)
        guard target.name == name else {
            throw HardwareError(.badTarget, "\(entry.file): expected the name '\(name)', found '\(target.name)'")
        }
        return target
    }

    private static func text(of path: String) throws(HardwareError) -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw HardwareError(.file, "\(path): the file of a target cannot be read")
        }
        guard let text = String(bytes: data, encoding: .utf8) else {
            throw HardwareError(.badTarget, "\(path): the file is not UTF-8 text")
        }
        return text
    }

    /// Every file of `targets/`; a test holds this list and the folder equal.
    private static let shipped: [(name: String, bytes: [UInt8])] = [
        ("aarch64-qemu", PackageResources.aarch64_qemu_yaml),
        ("armv7-neon", PackageResources.armv7_neon_yaml),
        ("cortex-a53", PackageResources.cortex_a53_yaml),
        ("cortex-a72", PackageResources.cortex_a72_yaml),
        ("cortex-a76", PackageResources.cortex_a76_yaml),
        ("cortex-m4", PackageResources.cortex_m4_yaml),
        ("cortex-m55", PackageResources.cortex_m55_yaml),
        ("cortex-m7", PackageResources.cortex_m7_yaml),
        ("host", PackageResources.host_yaml),
        ("riscv64", PackageResources.riscv64_yaml),
        ("riscv64-v", PackageResources.riscv64_v_yaml),
        ("x86-64", PackageResources.x86_64_yaml),
        ("x86-64-v3", PackageResources.x86_64_v3_yaml),
        ("x86-64-v4", PackageResources.x86_64_v4_yaml),
    ]
}
