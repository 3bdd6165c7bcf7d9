import IR
import ONNXFormat
import Operators
import Testing

@Suite struct RoundTripTests {
    static let specimens: [(name: String, specimen: Specimen)] = Registry.all.flatMap { type in
        type.specimens.enumerated().map { ("\(type.mnemonic) #\($0)", $1) }
    }

    /// Every specimen that ONNX can express is accepted by the checker and read back to the same function.
    @Test(arguments: specimens.map(\.name)) func exportedSpecimensComeBack(_ name: String) throws {
        let specimen = try #require(Self.specimens.first { $0.name == name }).specimen
        let (graph, isInput) = try specimen.graph()
        guard !specimen.op.isTrainingOnly, let model = try? ONNXExporter.model(of: graph) else { return }
        let bytes = try model.serialized()
        try ModelChecker.check(bytes, name: name)
        let back = try ONNXImporter.graph(of: ONNXModel(bytes: bytes))
        #expect(back.inputNames == graph.inputNames)
        #expect(back.outputNames == graph.outputNames)
        var random = RandomSource(seed: 5)
        let operands = zip(specimen.draw(&random), isInput).filter(\.1).map { ReferenceTensor<Double>($0.0) }
        let expected = try Interpreter.run(graph, inputs: operands)
        let found = try Interpreter.run(back, inputs: operands)
        for (a, b) in zip(found, expected) {
            // Attributes such as epsilon pass through 32-bit reals in the file.
            #expect(a.literal.isClose(to: b.literal, relative: 1e-5, absolute: 1e-6))
        }
    }

    /// Families that must have a form in ONNX; the test above skips what has none.
    @Test func theUsualOperatorsAreExpressible() throws {
        var expressible: Set<String> = []
        for (_, specimen) in Self.specimens where (try? ONNXExporter.model(of: specimen.graph().graph)) != nil {
            expressible.insert(specimen.op.mnemonic)
        }
        for mnemonic in ["conv2d", "relu", "add", "multiply", "concat", "reshape", "transpose", "softmax"] {
            #expect(expressible.contains(mnemonic), "\(mnemonic) has no ONNX form")
        }
    }
}
