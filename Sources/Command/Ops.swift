import ArgumentParser
import IR
import ONNXFormat
import Operators

/// `martlet ops`: what of ONNX is read.
struct Ops: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the ONNX operators that are read, as a table in Markdown.")

    @OptionGroup var result: ResultOptions

    private struct Row: Encodable {
        var name, opsets, types, refused: String
    }

    func run() throws {
        let imports = Registry.onnxImports.values.map { entry in
            Row(
                name: entry.domain.isEmpty ? entry.opType : "\(entry.domain).\(entry.opType)",
                opsets: Self.opsets(entry.versions), types: Self.types(entry.elements), refused: entry.refuses)
        }
        let structural = StructuralOperator.allCases.map {
            Row(name: $0.rawValue, opsets: Self.opsets($0.versions), types: "all", refused: $0.refuses)
        }
        let rows = (imports + structural).sorted { $0.name < $1.name }
        let lines = rows.map { "| \($0.name) | \($0.opsets) | \($0.types) | \($0.refused) |" }
        let table = ["| Operator | Opsets | Types | Refused |", "|---|---|---|---|"] + lines
        try result.emit(table.joined(separator: "\n"), json: rows)
    }

    private static func opsets(_ versions: ClosedRange<Int>) -> String {
        "\(versions.lowerBound)-\(versions.upperBound)"
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
