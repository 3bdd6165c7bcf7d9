public import Foundation
public import IR
import Operators
import Testing

/// Golden graphs: `Golden/<pass>/<case>.graph` holds a sentence of intent in `//` lines, the graph before, a line
/// `// ----`, and the graph after.
///
/// With `MARTLET_RECORD=1` in the environment the graphs after are written anew; review the difference.
public struct GoldenCase: Sendable, CustomTestStringConvertible {
    public var pass: String
    public var name: String
    public var file: URL
    public var testDescription: String { "\(pass)/\(name)" }

    /// The cases of one pass beside the test file that asks.
    public static func all(of pass: String, beside file: StaticString = #filePath) -> [GoldenCase] {
        let folder = URL(fileURLWithPath: "\(file)").deletingLastPathComponent().appendingPathComponent(
            "Golden/\(pass)")
        let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return files.filter { $0.pathExtension == "graph" }.sorted { $0.path < $1.path }.map {
            GoldenCase(pass: pass, name: $0.deletingPathExtension().lastPathComponent, file: $0)
        }
    }

    private static let separator = "// ----\n"

    /// Expects that the pass makes the graph after from the graph before, changes nothing when it runs again, and that
    /// both graphs mean the same on random operands.
    public func check(
        keepsMeaning: Bool = true, sourceLocation: SourceLocation = #_sourceLocation,
        _ transform: (Graph) throws -> Graph
    ) throws {
        let text = try String(contentsOf: file, encoding: .utf8)
        let parts = text.components(separatedBy: Self.separator)
        let intent = parts[0].prefix { $0 != "\n" }
        #expect(
            intent.hasPrefix("// ") && intent.count > 20, "\(file.path) should begin with its intent",
            sourceLocation: sourceLocation)
        let before = try Graph(parsing: Self.uncommented(parts[0]), file: file.path)
        try before.verify()
        let after = try transform(before)
        try after.verify()
        if ProcessInfo.processInfo.environment["MARTLET_RECORD"] != nil {
            try (parts[0] + Self.separator + after.description).write(to: file, atomically: true, encoding: .utf8)
        } else {
            let expected = parts.count > 1 ? Self.uncommented(parts[1]) : ""
            #expect(after.description == expected, "\(testDescription)", sourceLocation: sourceLocation)
        }
        let again = try transform(after)
        #expect(again.description == after.description, "\(testDescription) run twice", sourceLocation: sourceLocation)
        if keepsMeaning {
            #expect(try meaningDifference(before, after) < 1e-9, "\(testDescription)", sourceLocation: sourceLocation)
        }
    }

    private static func uncommented(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("//") }.joined(
            separator: "\n")
    }
}

/// How far the outputs of two graphs are apart on random operands and parameters, in double precision.
public func meaningDifference(_ a: Graph, _ b: Graph, seed: UInt64 = 1) throws -> Double {
    let random = RandomSource(seed: seed)
    guard a.types(of: a.inputs).map(\.plain) == b.types(of: b.inputs).map(\.plain), a.outputs.count == b.outputs.count
    else {
        return .infinity
    }
    func run(_ graph: Graph) throws -> [ReferenceTensor<Double>] {
        let parameters = RandomGraph.parameters(of: graph, random).mapValues { ReferenceTensor<Double>($0) }
        return try Interpreter.run(
            graph, inputs: RandomGraph.inputs(of: a, random).map { ReferenceTensor($0) }, parameters: parameters)
    }
    // Read as doubles: rounding to the element type would hide differences.
    return try zip(run(a), run(b)).reduce(0) { largest, pair in
        guard pair.0.type == pair.1.type else { return .infinity }
        let shape = pair.0.shape
        return max(
            largest, difference(Literal(.f64, shape, reals: pair.0.reals), Literal(.f64, shape, reals: pair.1.reals)))
    }
}
