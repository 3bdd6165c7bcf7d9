import IR
import ONNXFormat
import Operators
import Testing

@Suite struct ImportTests {
    private func integers(_ values: [Int64], scalar: Bool = false) throws -> ONNXTensorValue {
        try ONNXTensorValue(.int64, scalar ? [] : [values.count], values)
    }

    private func refusal(_ model: ONNXModel, options: ONNXImporter.Options = .init()) -> String {
        do throws(ONNXError) {
            _ = try ONNXImporter.graph(of: model, options: options)
            return "accepted"
        } catch {
            return error.description
        }
    }

    /// `Reshape(x, Concat(Gather(Shape(x), 0), -1))`, as exporters write a flattening.
    private func chain() throws -> ONNXModel {
        var graph = ONNXModel.Graph(name: "chain")
        graph.inputs = [SampleModels.value("x", .float, [.symbolic("batch"), .known(3), .known(4)])]
        graph.outputs = [SampleModels.value("y", .float, [.unknown, .unknown])]
        graph.initializers = [.init(name: "zero", value: try integers([0], scalar: true))]
        graph.nodes = [
            .init("Shape", inputs: ["x"], outputs: ["shape"]),
            .init("Gather", inputs: ["shape", "zero"], outputs: ["n"], attributes: [.init("axis", .integer(0))]),
            .init("Constant", inputs: [], outputs: ["axes"], attributes: [.init("value_ints", .integers([0]))]),
            .init("Unsqueeze", inputs: ["n", "axes"], outputs: ["n1"]),
            .init("Constant", inputs: [], outputs: ["rest"], attributes: [.init("value", .tensor(try integers([-1])))]),
            .init("Concat", inputs: ["n1", "rest"], outputs: ["target"], attributes: [.init("axis", .integer(0))]),
            .init("Reshape", name: "flatten", inputs: ["x", "target"], outputs: ["y"]),
        ]
        var model = ONNXModel(graph: graph)
        model.file = "chain.onnx"
        return model
    }

    @Test func shapeChainsFoldAway() throws {
        var options = ONNXImporter.Options()
        options.dimensions = ["batch": 2]
        let graph = try ONNXImporter.graph(of: chain(), options: options)
        #expect(graph.nodes.filter { !($0.op is Constant) }.map(\.op.mnemonic) == ["reshape"])
        #expect(graph.type(of: graph.outputs[0]) == .f32(2, 12))
        #expect(graph.inputNames == ["x"])
        #expect(graph.outputNames == ["y"])
        #expect(
            refusal(try chain())
                == "chain.onnx: input 'x': dimension 0 is open ('batch'); give it a size, such as --dim batch=1")
    }

    @Test func conditionsAndLoopsOnConstantsDisappear() throws {
        var then = ONNXModel.Graph(name: "then")
        then.nodes = [.init("Relu", inputs: ["x"], outputs: ["t"])]
        then.outputs = [.init(name: "t", type: .undeclared)]
        var otherwise = ONNXModel.Graph(name: "else")
        otherwise.nodes = [.init("Neg", inputs: ["x"], outputs: ["e"])]
        otherwise.outputs = [.init(name: "e", type: .undeclared)]
        var body = ONNXModel.Graph(name: "body")
        body.inputs = ["i", "go", "v"].map { .init(name: $0, type: .undeclared) }
        body.outputs = ["go_out", "doubled", "row"].map { .init(name: $0, type: .undeclared) }
        body.nodes = [
            .init("Identity", inputs: ["go"], outputs: ["go_out"]),
            .init("Add", inputs: ["v", "v"], outputs: ["doubled"]),
            .init("Identity", inputs: ["doubled"], outputs: ["row"]),
        ]
        var graph = ONNXModel.Graph(name: "control")
        graph.inputs = [SampleModels.value("x", .float, [.known(2)])]
        graph.outputs = ["final", "rows"].map { .init(name: $0, type: .undeclared) }
        graph.initializers = [
            .init(name: "no", value: try ONNXTensorValue(.bool, [], bytes: [0])),
            .init(name: "three", value: try integers([3], scalar: true)),
        ]
        graph.nodes = [
            .init(
                "If", inputs: ["no"], outputs: ["chosen"],
                attributes: [.init("then_branch", .graph(then)), .init("else_branch", .graph(otherwise))]),
            .init(
                "Loop", inputs: ["three", "", "chosen"], outputs: ["final", "rows"],
                attributes: [.init("body", .graph(body))]),
        ]
        let read = try ONNXImporter.graph(of: ONNXModel(graph: graph))
        let results = try Interpreter.run(read, inputs: [ReferenceTensor<Float>(.f32, [2], [1, -2])])
        #expect(results[0].reals == [-8, 16])
        #expect(results[1].shape == [3, 2])
        #expect(results[1].reals == [-2, 4, -4, 8, -8, 16])

        // Millions of rounds take minutes even where a round does nothing.
        var endless = graph
        endless.initializers[1].value = try integers([4_194_307], scalar: true)
        #expect(
            refusal(ONNXModel(graph: endless)).hasSuffix(
                "(Loop): its loops run more than 10000 times, too often to be unrolled"))

        graph.inputs.append(SampleModels.value("flag", .bool, []))
        graph.nodes[0].inputs = ["flag"]
        #expect(
            refusal(ONNXModel(graph: graph)).hasSuffix(
                "(If): its condition depends on data; only what constants decide can be compiled; "
                    + "if input 'flag' decides it, give its value, such as --bind flag=1"))
    }

    @Test func inputsWithInitialisersAreConstants() throws {
        var model = try SampleModels.perceptron()
        model.graph.inputs += [
            SampleModels.value("w", .float, [.known(3), .known(2)]), SampleModels.value("b", .float, [.known(2)]),
        ]
        let graph = try ONNXImporter.graph(of: model)
        #expect(graph.inputNames == ["x"])
        let result = try Interpreter.run(graph, inputs: [ReferenceTensor<Float>(.f32, [1, 3], [1, 0, -1])])
        #expect(result[0].reals == [0, 0])
    }

    @Test func shapesThatArriveAsInputsAreBound() throws {
        var model = try chain()
        model.graph.nodes = [.init("Reshape", name: "r", inputs: ["x", "target"], outputs: ["y"])]
        model.graph.inputs = [
            SampleModels.value("x", .float, [.known(6)]), SampleModels.value("target", .int64, [.known(2)]),
        ]
        #expect(refusal(model).hasPrefix("chain.onnx: node 'r' (Reshape): "))
        let values = [
            "x": try ONNXTensorValue(.float, [6], [1, 2, 3, 4, 5, 6] as [Float]), "target": try integers([3, 2]),
        ]
        let graph = try ONNXImporter.graph(of: model, offering: values)
        #expect(graph.inputNames == ["x"])
        #expect(graph.type(of: graph.outputs[0]) == .f32(3, 2))
    }

    @Test func refusalsNameFileNodeAndCause() throws {
        var model = try SampleModels.perceptron()
        model.file = "m.onnx"
        model.graph.nodes[1].operation = "Rely"
        #expect(refusal(model) == "m.onnx: node 'activation' (Rely): operator Rely is not supported")
        model.graph.nodes[1].domain = "com.example"
        #expect(
            refusal(model)
                == "m.onnx: node 'activation' (com.example.Rely): operator Rely of domain 'com.example' is not supported"
        )
        var mismatched = try SampleModels.perceptron()
        mismatched.graph.inputs = [SampleModels.value("x", .float, [.known(1), .known(5)])]
        #expect(refusal(mismatched).hasPrefix("model: node 'fc' (Gemm): "))
        var text = try SampleModels.perceptron()
        text.graph.inputs = [SampleModels.value("x", .string, [.known(1)])]
        #expect(refusal(text) == "model: input 'x': element type string is not supported")
        var sequence = try SampleModels.perceptron()
        sequence.graph.inputs = [.init(name: "x", type: .other("sequence"))]
        #expect(refusal(sequence) == "model: input 'x': values of type sequence are not supported")
        var overflowing = try SampleModels.perceptron()
        overflowing.graph.inputs = [SampleModels.value("x", .float, [.known(1 << 40), .known(1 << 40)])]
        #expect(refusal(overflowing) == "model: input 'x': the dimensions [1099511627776, 1099511627776] overflow")
        var declared = try SampleModels.perceptron()
        declared.graph.outputs = [SampleModels.value("y", .int64, [.known(1), .known(2)])]
        #expect(refusal(declared) == "model: output 'y': it is declared as int64, but the nodes make it float")
    }

    /// Amounts near the largest integer would overflow in the arithmetic of shapes; they end in a refusal, as indices do.
    @Test(arguments: [
        ("Pad", [Int64.max, .max], "node 'n' (Pad): "),
        ("Tile", [.max], "node 'n' (Tile): "), ("Expand", [.max, .max, .max], "node 'n' (Expand): "),
        ("Reshape", [.max, .max, .max, -1], "node 'n' (Reshape): "), ("ReduceSum", [.min], "node 'n' (ReduceSum): "),
        ("Gather", [4], "node 'n' (Gather): index 4 is outside axis 0 of f32[4]"),
        ("Gather", [0, -5], "node 'n' (Gather): index -5 is outside axis 0 of f32[4]"),
    ])
    func numbersThatDoNotFitAreRefused(operation: String, numbers: [Int64], reason: String) throws {
        var graph = ONNXModel.Graph(name: "large")
        graph.inputs = [SampleModels.value("x", .float, [.known(4)])]
        graph.outputs = [.init(name: "y", type: .undeclared)]
        graph.initializers = [.init(name: "n", value: try integers(numbers))]
        graph.nodes = [.init(operation, name: "n", inputs: ["x", "n"], outputs: ["y"])]
        #expect(refusal(ONNXModel(graph: graph)).hasPrefix("model: " + reason))
    }

    @Test func slicesToTheEndMayNameTheLargestIntegers() throws {
        var graph = ONNXModel.Graph(name: "slice")
        graph.inputs = [SampleModels.value("x", .float, [.known(4)])]
        graph.outputs = [.init(name: "y", type: .undeclared)]
        graph.initializers = [
            .init(name: "from", value: try integers([-1])), .init(name: "to", value: try integers([.min])),
            .init(name: "axis", value: try integers([0])), .init(name: "step", value: try integers([.min])),
        ]
        graph.nodes = [.init("Slice", inputs: ["x", "from", "to", "axis", "step"], outputs: ["y"])]
        let read = try ONNXImporter.graph(of: ONNXModel(graph: graph))
        #expect(read.type(of: read.outputs[0]) == .f32(1))
    }

    @Test func halfPrecisionAndDoubleConstantsAreRead() throws {
        for (type, values) in [
            (ONNXElementType.float16, [0x3c00, 0xc000] as [UInt16]), (.bfloat16, [0x3f80, 0xc000] as [UInt16]),
        ] {
            var graph = ONNXModel.Graph(name: "g")
            graph.nodes = [
                .init(
                    "Constant", inputs: [], outputs: ["y"],
                    attributes: [.init("value", .tensor(try ONNXTensorValue(type, [2], values)))])
            ]
            graph.outputs = [SampleModels.value("y", type, [.known(2)])]
            let read = try ONNXImporter.graph(of: ONNXModel(graph: graph))
            #expect(try Interpreter.run(read, inputs: [ReferenceTensor<Float>]())[0].reals == [1, -2])
        }
    }
}
