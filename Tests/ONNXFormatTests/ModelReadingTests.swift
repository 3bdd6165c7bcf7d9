import ONNXFormat
import Testing

@Suite struct ModelReadingTests {
    private func refusal(_ graph: Wire) -> String {
        do throws(ONNXError) {
            _ = try ONNXModel(bytes: Wire.model(graph).bytes, name: "m.onnx")
            return "accepted"
        } catch {
            return error.description
        }
    }

    @Test func writingAndReadingGiveTheSameModel() throws {
        let model = try SampleModels.everything()
        let bytes = try model.serialized()
        #expect(try ONNXModel(bytes: bytes) == model)
        #expect(try ONNXModel(bytes: bytes).serialized() == bytes)
    }

    @Test func nodesOutOfOrderAreSorted() throws {
        let graph = Wire().block(1, Wire.node("Relu", ["b"], ["c"])).block(1, Wire.node("Abs", ["a"], ["b"]))
            .block(11, Wire.value("a")).block(12, Wire.value("c"))
        let model = try ONNXModel(bytes: Wire.model(graph).bytes)
        #expect(model.graph.nodes.map(\.operation) == ["Abs", "Relu"])
        #expect(model.graph.nodes[0].version == 17)
    }

    @Test func brokenGraphsAreRefused() {
        let input = Wire().block(11, Wire.value("a"))
        #expect(
            refusal(input.block(1, Wire.node("Add", ["a", "c"], ["b"])).block(1, Wire.node("Abs", ["b"], ["c"])))
                == "m.onnx: node of 'b' (Add): it depends on its own output: the graph has a cycle")
        #expect(
            refusal(input.block(1, Wire.node("Abs", ["x"], ["b"])))
                == "m.onnx: node of 'b' (Abs): it reads 'x', which nothing defines")
        #expect(
            refusal(
                input.block(1, Wire.node("Abs", ["a"], ["b"]).text(3, "n")).block(1, Wire.node("Abs", ["a"], ["b"])))
                == "m.onnx: node of 'b' (Abs): the value 'b' is defined twice")
        #expect(
            refusal(input.block(11, Wire.value("a"))) == "m.onnx: there are two of graph input 'a'")
        #expect(refusal(input.block(12, Wire.value("z"))) == "m.onnx: the graph's output 'z' is defined by no node")
        #expect(refusal(input.block(1, Wire().text(1, "a"))) == "m.onnx: a node (): the node names no operator")
        #expect(refusal(input.block(15, Wire())) == "m.onnx: a sparse initialiser has no name")
        let lying = Wire.tensor(1, [1 << 20]).text(8, "w").block(9, [1, 2, 3, 4])
        #expect(
            refusal(Wire().block(5, lying))
                == "m.onnx: initialiser 'w': float [1048576] takes 4194304 bytes, but 4 are stored")
    }

    @Test func attributesKnowTheirKindOrImplyIt() throws {
        let node = Wire.node("X", ["a"], ["b"]).block(5, Wire().text(1, "axis").integer(3, -1))
            .block(5, Wire().text(1, "pads").integer(8, 1).integer(8, 2))
        let graph = Wire().block(1, node).block(11, Wire.value("a"))
        let read = try ONNXModel(bytes: Wire.model(graph).bytes).graph.nodes[0]
        #expect(read["axis"] == .integer(-1))
        #expect(read["pads"] == .integers([1, 2]))
        let twice = Wire.node("X", ["a"], ["b"]).text(3, "n").block(5, Wire().text(1, "k").integer(3, 1))
            .block(5, Wire().text(1, "k").integer(3, 1))
        #expect(
            refusal(Wire().block(1, twice).block(11, Wire.value("a")))
                == "m.onnx: node 'n' (X): attribute 'k': it is given twice")
        let sparse = Wire.node("Constant", [], ["b"]).block(5, Wire().text(1, "sparse_value").integer(20, 11))
        #expect(refusal(Wire().block(1, sparse)).hasSuffix("attribute 'sparse_value': it holds no sparse tensor"))
    }

    @Test func hostileNestingAndDuplicationAreRefusedEarly() throws {
        // Graphs in attributes of nodes of graphs …, far deeper than the stack would bear.
        var graph = Wire()
        for _ in 0..<200 { graph = Wire().block(1, Wire().block(5, Wire().block(6, graph))) }
        #expect(refusal(graph) == "m.onnx: messages are nested more than 100 deep")
        let twice = Wire.model(Wire()).block(7, Wire())
        #expect(throws: ONNXError.self) { try ONNXModel(bytes: twice.bytes) }
        // Empty nodes take two bytes each in the file, a hundred or more in memory.
        let dense = Wire(bytes: (0..<400_000).flatMap { _ in [0x0a, 0x00] as [UInt8] })
        #expect(refusal(dense) == "m.onnx: the bytes would expand to many times their size")
    }

    @Test func textThatIsNotUnicodeIsRepaired() throws {
        let node = Wire.node("Abs", ["a"], ["b"]).block(3, [0xff, 0x41])
        let model = try ONNXModel(bytes: Wire.model(Wire().block(1, node).block(11, Wire.value("a"))).bytes)
        #expect(model.graph.nodes[0].name == "\u{fffd}A")
    }

    @Test func filesThatAreNoModelsAreRefused() {
        for bytes: [UInt8] in [[], [0], Array("not a model".utf8), [0x08, 0x08], [0x3a, 0xff]] {
            let error = #expect(throws: ONNXError.self) { try ONNXModel(bytes: bytes) }
            #expect(error?.code == .malformed)
        }
        let missing = #expect(throws: ONNXError.self) { try ONNXModel(path: "/nonexistent/model.onnx") }
        #expect(missing?.description == "/nonexistent/model.onnx: cannot be opened: No such file or directory")
        #expect(#expect(throws: ONNXError.self) { try ONNXModel(path: "/") }?.code == .unreadable)
    }
}
