import Foundation
import IR
import ONNXFormat
import Operators
import Testing

@Suite struct ExportTests {
    @Test func namesAreReadableAndTheSameEachTime() throws {
        let graph = try ONNXImporter.graph(of: SampleModels.perceptron())
        let model = try ONNXExporter.model(of: graph, metadata: [.init(key: "task", value: "none")])
        #expect(model.opsets == [.init(domain: "", version: 17)])
        #expect(model.metadata == [.init(key: "task", value: "none")])
        #expect(model.graph.inputs == [SampleModels.value("x", .float, [.known(1), .known(3)])])
        #expect(model.graph.outputs == [SampleModels.value("y", .float, [.known(1), .known(2)])])
        #expect(Set(model.graph.initializers.map(\.name)) == ["w", "b"])
        #expect(model.graph.nodes.last?.name == "activation")
        #expect(model.graph.nodes.last?.outputs == ["y"])
        #expect(try ONNXExporter.model(of: graph, metadata: model.metadata) == model)
        // A second trip changes nothing: the graphs are equal, names included.
        let again = try ONNXImporter.graph(of: model)
        #expect(try ONNXExporter.model(of: again, metadata: model.metadata) == model)
    }

    @Test func outputsThatAreInputsConstantsOrTwiceTheSameGetCopies() throws {
        var g = GraphBuilder(name: "odd")
        let x = g.input("x", .f32(2))
        let c = g.constant(Literal([1, 2] as [Float]), name: "c")
        let y = try g.append(Add(), x, c)
        let graph = g.finish(outputs: [x, c, y, y], names: ["a", "b", "d", "e"])
        let model = try ONNXExporter.model(of: graph)
        try ModelChecker.check(try model.serialized())
        let back = try ONNXImporter.graph(of: model)
        #expect(back.outputNames == ["a", "b", "d", "e"])
        let results = try Interpreter.run(back, inputs: [ReferenceTensor<Float>(.f32, [2], [5, 6])])
        #expect(results.map(\.reals) == [[5, 6], [1, 2], [6, 8], [6, 8]])
    }

    @Test func writingIsCheckedAndLeavesNothingBehindOnFailure() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("onnx-export-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let graph = try ONNXImporter.graph(of: SampleModels.perceptron())
        let path = folder.appendingPathComponent("model.onnx").path
        try ONNXExporter.write(graph, to: path)
        #expect(try ONNXImporter.graph(of: ONNXModel(path: path)).nodes.count == graph.nodes.count)
        let nowhere = folder.appendingPathComponent("none/model.onnx").path
        let error = #expect(throws: ONNXError.self) { try ONNXExporter.write(graph, to: nowhere) }
        #expect(error?.description == "\(nowhere): cannot be created: No such file or directory")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["model.onnx"])
    }

    @Test func graphsWithParametersAreRefused() throws {
        var g = GraphBuilder(name: "open")
        let w = g.parameter("layer.weight", .f32(2))
        let graph = g.finish(outputs: [w])
        let error = #expect(throws: ONNXError.self) { try ONNXExporter.model(of: graph) }
        #expect(error?.code == .invalidExport)
        #expect(error?.description.contains("layer.weight") == true)
    }
}
