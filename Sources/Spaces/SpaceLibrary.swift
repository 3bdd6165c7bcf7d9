import Foundation

/// Finds search spaces by name: the ones that come with the package, or a single file.
public struct SpaceLibrary: Sendable {
    private let entries: [(name: String, text: String)]

    /// The spaces that come with the package; they are part of the program, so an installed command needs no files.
    public init() { entries = Self.shipped.map { ($0.name, String(decoding: $0.bytes, as: UTF8.self)) } }

    /// All names, in the order of their files.
    public var names: [String] { entries.map(\.name) }

    /// The space of that name, or the one that a path to a `.yaml` file describes.
    ///
    /// - Throws: ``SpaceError`` for an unknown name, and for any fault in the file.
    public func space(_ name: String) throws(SpaceError) -> SearchSpace {
        try SearchSpace(yaml: text(name), file: file(name))
    }

    /// The YAML of a space.
    ///
    /// - Throws: ``SpaceError`` for an unknown name or a file that cannot be read.
    public func text(_ name: String) throws(SpaceError) -> String {
        if isPath(name) {
            guard let data = FileManager.default.contents(atPath: name) else {
                throw SpaceError(.syntax, "the file of a search space cannot be read", file: name)
            }
            guard let text = String(bytes: data, encoding: .utf8) else {
                throw SpaceError(.syntax, "not UTF-8 text", file: name)
            }
            return text
        }
        guard let entry = entries.first(where: { $0.name == name }) else {
            throw SpaceError(
                .unknown,
                "unknown search space '\(name)'; known: \(names.joined(separator: ", ")), or the path of a .yaml file")
        }
        return entry.text
    }

    private func file(_ name: String) -> String { isPath(name) ? name : "models/\(name).yaml" }

    private func isPath(_ name: String) -> Bool { name.hasSuffix(".yaml") || name.contains("/") }

    /// Every file of `models/`; a test holds this list and the folder equal.
    private static let shipped: [(name: String, bytes: [UInt8])] = [
        ("darts-20", PackageResources.darts_20_yaml),
        ("darts-factorised-micro", PackageResources.darts_factorised_micro_yaml),
        ("darts-factorised", PackageResources.darts_factorised_yaml),
        ("darts-micro", PackageResources.darts_micro_yaml),
        ("darts", PackageResources.darts_yaml),
        ("mbconv-224", PackageResources.mbconv_224_yaml),
        ("mbconv-28", PackageResources.mbconv_28_yaml),
        ("micro-125", PackageResources.micro_125_yaml),
        ("nas-bench-201-small", PackageResources.nas_bench_201_small_yaml),
        ("nas-bench-201", PackageResources.nas_bench_201_yaml),
        ("proxyless-224", PackageResources.proxyless_224_yaml),
        ("proxyless-28", PackageResources.proxyless_28_yaml),
        ("proxyless-micro", PackageResources.proxyless_micro_yaml),
    ]
}
