import ArgumentParser
import IR
import Operators

/// `martlet ops`: what of ONNX is read.
struct Ops: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the ONNX operators that are read, as a table in Markdown.")

    func run() throws { Terminal.output(Self.table()) }

    static func table() -> String {
        let rows = Registry.onnxImports.values.sorted { ($0.domain, $0.opType) < ($1.domain, $1.opType) }.map { entry in
            let name = entry.domain.isEmpty ? entry.opType : "\(entry.domain).\(entry.opType)"
            let versions = "\(entry.versions.lowerBound)-\(entry.versions.upperBound)"
            return "| \(name) | \(versions) | \(types(entry.elements)) | \(entry.refuses) |"
        }
        return (["| Operator | Opsets | Types | Refused |", "|---|---|---|---|"] + rows).joined(separator: "\n")
    }

    private static func types(_ elements: [ElementType]) -> String {
        if elements.count == ElementType.allCases.count { return "all" }
        var rest = elements
        var words: [String] = []
        for (name, group) in [("floats", ElementType.floats), ("integers", ElementType.integers)]
        where group.allSatisfy(rest.contains) {
            words.append(name)
            rest.removeAll(where: group.contains)
        }
        return (words + rest.map(\.rawValue)).joined(separator: ", ")
    }
}
