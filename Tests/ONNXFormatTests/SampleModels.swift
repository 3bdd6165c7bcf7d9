import ONNXFormat

/// Small models written with the neutral model.
enum SampleModels {
    static func value(_ name: String, _ type: ONNXElementType, _ dimensions: [ONNXModel.Dimension])
        -> ONNXModel.ValueInfo
    {
        ONNXModel.ValueInfo(name: name, type: .tensor(type, dimensions))
    }

    /// `y = relu(x w + b)`.
    static func perceptron() throws -> ONNXModel {
        var graph = ONNXModel.Graph(name: "perceptron")
        graph.inputs = [value("x", .float, [.known(1), .known(3)])]
        graph.outputs = [value("y", .float, [.known(1), .known(2)])]
        graph.initializers = [
            .init(name: "w", value: try ONNXTensorValue(.float, [3, 2], [1, 2, 3, 4, 5, 6] as [Float])),
            .init(name: "b", value: try ONNXTensorValue(.float, [2], [-1, 1] as [Float])),
        ]
        graph.nodes = [
            .init(
                "Gemm", name: "fc", inputs: ["x", "w", "b"], outputs: ["h"], attributes: [.init("alpha", .float(1))]),
            .init("Relu", name: "activation", inputs: ["h"], outputs: ["y"]),
        ]
        return ONNXModel(graph: graph)
    }

    /// Every kind of attribute and declaration that is written.
    static func everything() throws -> ONNXModel {
        var model = try perceptron()
        let tensor = try ONNXTensorValue(.int64, [2], [3, 4] as [Int64])
        var body = ONNXModel.Graph(name: "body")
        body.nodes = [.init("Neg", inputs: ["h"], outputs: ["inner"])]
        body.outputs = [value("inner", .float, [.known(1), .unknown])]
        let attributes: [ONNXModel.Attribute] = [
            .init("float", .float(-0.5)), .init("integer", .integer(-7)), .init("string", .string("gr\u{fc}n")),
            .init("tensor", .tensor(tensor)), .init("graph", .graph(body)), .init("floats", .floats([1, .infinity])),
            .init("integers", .integers([Int.min, Int.max])), .init("strings", .strings(["", "b"])),
            .init("tensors", .tensors([tensor, tensor])), .init("graphs", .graphs([body, body])),
            .init("type", .type(.tensor(.float16, [.symbolic("n")]))), .init("empty", .integers([])),
        ]
        var odd = ONNXModel.Node(
            "Odd", version: 1, inputs: ["h", "", "b"], outputs: ["", "odd"], attributes: attributes)
        odd.domain = "some.domain"
        model.graph.nodes.append(odd)
        model.graph.valueInfos = [
            value("h", .float, [.symbolic("batch"), .known(2)]), .init(name: "odd", type: .undeclared),
        ]
        model.graph.inputs.append(.init(name: "rankless", type: .tensor(.bool, nil)))
        model.opsets.append(.init(domain: "some.domain", version: 1))
        model.producerName = "martlet"
        model.producerVersion = "1"
        model.domain = "example"
        model.modelVersion = 3
        model.documentation = "text"
        model.metadata = [.init(key: "task", value: "none"), .init(key: "empty", value: "")]
        return model
    }

    /// A model of nested local functions; `Doubled(x) = Scaled(x, factor: 2)`, `Scaled(x; factor = 3) = x * factor`.
    static func functions() -> Wire {
        let version = Wire().text(1, "").integer(2, 17)
        let scaled = Wire().text(1, "Scaled").text(4, "x").text(5, "y").text(10, "local").block(9, version)
            .block(11, Wire().text(1, "factor").integer(20, 1).bytesOfFloat(2, 3))
            .block(
                7,
                Wire.node("Constant", [], ["c"]).block(
                    5, Wire().text(1, "value_float").text(21, "factor").integer(20, 1))
            )
            .block(7, Wire.node("Mul", ["x", "c"], ["y"]))
        let doubled = Wire().text(1, "Doubled").text(4, "x").text(5, "y").text(10, "local").block(9, version)
            .block(9, Wire().text(1, "local").integer(2, 1))
            .block(
                7,
                Wire.node("Scaled", ["x"], ["c"]).text(7, "local").block(
                    5, Wire().text(1, "factor").integer(20, 1).bytesOfFloat(2, 2))
            )
            .block(7, Wire.node("Identity", ["c"], ["y"]))
        let graph = Wire().text(2, "g")
            .block(1, Wire.node("Doubled", ["a"], ["b"]).text(7, "local").text(3, "first"))
            .block(1, Wire.node("Scaled", ["b"], ["c"]).text(7, "local").text(3, "second"))
            .block(11, Wire.value("a")).block(12, Wire.value("c"))
        return Wire.model(graph).block(8, Wire().text(1, "local").integer(2, 1)).block(25, scaled).block(25, doubled)
    }
}

extension Wire {
    func bytesOfFloat(_ field: UInt64, _ value: Float) -> Wire {
        Wire(
            bytes: bytes + Self.varint(field << 3 | 5)
                + withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) })
    }
}
