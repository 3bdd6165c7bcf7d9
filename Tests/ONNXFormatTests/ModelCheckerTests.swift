import ONNXFormat
import Testing

@Suite struct ModelCheckerTests {
    @Test func aSoundModelPasses() throws {
        try ModelChecker.check(try SampleModels.perceptron().serialized())
    }

    @Test func faultsAreReportedWithTheirReason() throws {
        var wrongShape = try SampleModels.perceptron()
        wrongShape.graph.outputs = [SampleModels.value("y", .float, [.known(1), .known(5)])]
        var unknown = try SampleModels.perceptron()
        unknown.graph.nodes[1].operation = "Rely"
        var mistyped = try SampleModels.perceptron()
        mistyped.graph.inputs = [SampleModels.value("x", .int64, [.known(1), .known(3)])]
        for (model, word) in [(wrongShape, "differ"), (unknown, "Rely"), (mistyped, "type")] {
            let bytes = try model.serialized()
            let error = #expect(throws: ONNXError.self) { try ModelChecker.check(bytes, name: "out.onnx") }
            #expect(error?.code == .invalidExport)
            #expect(error?.description.hasPrefix("out.onnx: libonnx refuses the model: ") == true)
            #expect(error?.cause.contains(word) == true, "\(error?.cause ?? "")")
        }
        #expect(throws: ONNXError.self) { try ModelChecker.check([1, 2, 3]) }
    }
}
