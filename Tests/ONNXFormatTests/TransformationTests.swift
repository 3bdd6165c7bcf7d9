import ONNXFormat
import Testing

@Suite struct TransformationTests {
    @Test func functionsAreInlinedWithTheirAttributes() throws {
        let model = try ONNXModel(bytes: SampleModels.functions().bytes).inliningFunctions()
        #expect(model.functions.isEmpty)
        #expect(model.graph.nodes.map(\.operation) == ["Constant", "Mul", "Identity", "Constant", "Mul"])
        #expect(model.graph.nodes[0]["value_float"] == .float(2))
        #expect(model.graph.nodes[3]["value_float"] == .float(3))
        #expect(model.graph.nodes[1].inputs[0] == "a")
        #expect(model.graph.nodes[2].outputs == ["b"])
        #expect(model.graph.nodes[4].inputs[0] == "b")
        #expect(model.graph.nodes[4].outputs == ["c"])
        #expect(Set(model.graph.nodes.flatMap(\.outputs)).count == 5)
    }

    @Test func recursionIsRefused() throws {
        let version = Wire().text(1, "").integer(2, 17)
        let loop = Wire().text(1, "Loop").text(4, "x").text(5, "y").text(10, "local").block(9, version)
            .block(7, Wire.node("Loop", ["x"], ["y"]).text(7, "local"))
        let graph = Wire().block(1, Wire.node("Loop", ["a"], ["b"]).text(7, "local")).block(11, Wire.value("a"))
        let model = try ONNXModel(bytes: Wire.model(graph).block(25, loop).bytes, name: "m")
        let error = #expect(throws: ONNXError.self) { try model.inliningFunctions() }
        #expect(error?.description.hasSuffix("the function calls itself, or calls are nested 64 deep") == true)
    }

    @Test func exponentialFunctionsAreRefused() throws {
        let version = Wire().text(1, "").integer(2, 17)
        var wire = Wire.model(Wire().block(1, Wire.node("F24", ["a"], ["b"]).text(7, "l")).block(11, Wire.value("a")))
        for level in 0...24 {
            let inner =
                level == 0 ? Wire.node("Abs", ["x"], ["m"]) : Wire.node("F\(level - 1)", ["x"], ["m"]).text(7, "l")
            let last =
                level == 0 ? Wire.node("Abs", ["m"], ["y"]) : Wire.node("F\(level - 1)", ["m"], ["y"]).text(7, "l")
            wire = wire.block(
                25,
                Wire().text(1, "F\(level)").text(4, "x").text(5, "y").text(10, "l").block(9, version).block(7, inner)
                    .block(7, last))
        }
        let model = try ONNXModel(bytes: wire.bytes)
        let error = #expect(throws: ONNXError.self) { try model.inliningFunctions() }
        #expect(error?.code == .unsupported)
    }

    private func open() throws -> ONNXModel {
        var model = try SampleModels.perceptron()
        model.graph.inputs = [
            SampleModels.value("x", .float, [.symbolic("batch"), .known(3)]),
            SampleModels.value("z", .int64, [.unknown]),
        ]
        model.graph.outputs = [SampleModels.value("y", .float, [.symbolic("batch"), .known(2)])]
        model.file = "m.onnx"
        return model
    }

    private func text(_ body: () throws(ONNXError) -> ONNXModel) -> String {
        do throws(ONNXError) {
            _ = try body()
            return "accepted"
        } catch {
            return error.description
        }
    }

    @Test func symbolicDimensionsAreFixed() throws {
        let model = try open()
        let fixed = try model.fixing(dimensions: ["batch": 2, "z.0": 5])
        #expect(fixed.graph.inputs[0].type == .tensor(.float, [.known(2), .known(3)]))
        #expect(fixed.graph.inputs[1].type == .tensor(.int64, [.known(5)]))
        #expect(fixed.graph.outputs[0].type == .tensor(.float, [.known(2), .known(2)]))
        #expect(
            text { () throws(ONNXError) in try model.fixing(dimensions: [:]) }
                == "m.onnx: input 'x': dimension 0 is open ('batch'); give it a size, such as --dim batch=1")
        #expect(
            text { () throws(ONNXError) in try model.fixing(dimensions: ["batch": 1, "z.0": 1, "bach": 1]) }
                == "m.onnx: no input has an open dimension 'bach'; open dimensions: batch, z.0")
        #expect(
            text { () throws(ONNXError) in try model.fixing(dimensions: ["batch": 0]) }
                == "m.onnx: dimension 'batch' cannot be 0")
    }

    @Test func givenSizesAndDataMayAgree() throws {
        let type = Wire().block(1, Wire().integer(1, 1).block(2, Wire().block(1, Wire().text(2, "batch"))))
        let graph = Wire().block(1, Wire.node("Abs", ["x"], ["y"])).block(11, Wire.value("x").block(2, type))
            .block(12, Wire.value("y"))
        let model = try ONNXModel(bytes: Wire.model(graph).bytes, name: "m.onnx")
        let data = ["x": try ONNXTensorValue(.float, [2], [1, 2] as [Float])]
        func read(_ size: Int) throws(ONNXError) -> ONNXModel {
            var options = ONNXImporter.Options()
            options.dimensions = ["batch": size]
            _ = try ONNXImporter.graph(of: model, options: options, offering: data)
            return model
        }
        #expect(text { () throws(ONNXError) in try read(2) } == "accepted")
        #expect(
            text { () throws(ONNXError) in try read(3) }
                == "m.onnx: input 'x': the given tensor is [2], but the model declares [3]")
    }

    @Test func shapesAndValuesAreTakenFromData() throws {
        let model = try open()
        let shaped = try model.fixing(inputShapes: ["x": [4, 3], "z": [2]])
        #expect(shaped.graph.outputs[0].type == .tensor(.float, [.known(4), .known(2)]))
        #expect(
            text { () throws(ONNXError) in try model.fixing(inputShapes: ["x": [4, 4]]) }
                == "m.onnx: input 'x': the given tensor is [4, 4], but the model declares [batch, 3]")
        let bound = try shaped.binding(["z": try ONNXTensorValue(.int64, [2], [1, 2] as [Int64])])
        #expect(bound.graph.inputs.map(\.name) == ["x"])
        #expect(bound.graph.initializers.last?.name == "z")
        #expect(
            text { () throws(ONNXError) in try shaped.binding(["z": try ONNXTensorValue(.float, [1], [1] as [Float])]) }
                == "m.onnx: input 'z': it is int64, but the value is float")
    }
}
