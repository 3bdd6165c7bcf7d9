import Foundation
import ONNXFormat
import Testing

@Suite struct TensorReadingTests {
    static let forms: [(Wire, ONNXElementType, [Double])] = [
        (Wire.tensor(1, [2]).packed(4, [1.5, -2] as [Float]), .float, [1.5, -2]),
        (Wire.tensor(1, [2]).packed(9, [1.5, -2] as [Float]), .float, [1.5, -2]),
        (Wire.tensor(11, [1]).packed(10, [0.1]), .double, [0.1]),
        (Wire.tensor(10, [3]).varints(5, [0x3e00, 0xc000, 0x0001]), .float16, [1.5, -2, 0x1p-24]),
        (Wire.tensor(16, [2]).varints(5, [0x3fc0, 0xc000]), .bfloat16, [1.5, -2]),
        (Wire.tensor(3, [2]).varints(5, [-3, 4]), .int8, [-3, 4]),
        (Wire.tensor(2, [2]).varints(5, [3, 255]), .uint8, [3, 255]),
        (Wire.tensor(5, [1]).varints(5, [-300]), .int16, [-300]),
        (Wire.tensor(4, [1]).varints(5, [65535]), .uint16, [65535]),
        (Wire.tensor(6, [2]).varints(5, [-70000, 1]), .int32, [-70000, 1]),
        (Wire.tensor(7, [2, 1]).varints(7, [-5, 6]), .int64, [-5, 6]),
        (Wire.tensor(12, [1]).varints(11, [4_000_000_000]), .uint32, [4_000_000_000]),
        (Wire.tensor(13, [1]).varints(11, [9]), .uint64, [9]),
        (Wire.tensor(9, [3]).varints(5, [0, 1, 1]), .bool, [0, 1, 1]),
        (Wire.tensor(9, [2]).block(9, [7, 0]), .bool, [1, 0]),
        (Wire.tensor(1, []).packed(4, [3] as [Float]), .float, [3]),
        (Wire.tensor(7, [0, 4]), .int64, []),
    ]

    @Test(arguments: forms.indices) func everyStorageFormIsDecoded(_ index: Int) throws {
        let (wire, type, values) = Self.forms[index]
        let tensor = try ONNXTestData.tensor(bytes: wire.bytes)
        #expect(tensor.elementType == type)
        #expect(tensor.reals ?? tensor.integers?.map(Double.init) == values)
    }

    static let refusals: [(Wire, ONNXError.Code, String)] = [
        (Wire.tensor(1, [3]).packed(4, [1] as [Float]), .malformed, "float [3] has 3 elements, but float_data holds 1"),
        (Wire.tensor(1, [2]).block(9, [0, 0, 0]), .malformed, "float [2] takes 8 bytes, but 3 are stored"),
        (Wire.tensor(1, [2]), .malformed, "float [2] needs 8 bytes, but no values are stored"),
        (Wire.tensor(1, [-2]), .malformed, "dimension -2 in [-2] is negative"),
        (Wire.tensor(1, [1 << 40, 1 << 40]), .malformed, "the dimensions [1099511627776, 1099511627776] overflow"),
        (Wire.tensor(1, [1 << 61]), .malformed, "the dimensions [2305843009213693952] overflow"),
        (Wire.tensor(8, [1]).text(6, "a"), .unsupported, "tensors of element type string are not supported"),
        (Wire.tensor(17, [1]).block(9, [1]), .unsupported, "tensors of element type float8e4m3fn are not supported"),
        (Wire.tensor(1, [1]).varints(7, [1]), .malformed, "values of type float cannot be stored in int64_data"),
        (
            Wire.tensor(6, [1]).varints(5, [1]).block(9, [1, 0, 0, 0]), .malformed,
            "values are stored in raw_data and int32_data"
        ),
        (Wire().integer(1, 1), .malformed, "the tensor states no element type"),
    ]

    @Test(arguments: refusals.indices) func lyingTensorsAreRefused(_ index: Int) {
        let (wire, code, cause) = Self.refusals[index]
        let error = #expect(throws: ONNXError.self) { try ONNXTestData.tensor(bytes: wire.bytes) }
        #expect(error?.code == code)
        #expect(error?.description == cause)
    }

    private static func sparse(_ count: Int64, _ indices: Wire?, _ dimensions: [Int64]) -> Wire {
        let values = Wire.tensor(1, [count]).text(8, "w").packed(4, (1...count).map(Float.init))
        let start = indices.map { Wire().block(1, values).block(2, $0) } ?? Wire().block(1, values)
        return dimensions.reduce(start) { $0.integer(3, $1) }
    }

    static let sparseForms: [(Wire, String)] = [
        (sparse(2, Wire.tensor(7, [2]).varints(7, [1, 5]), [2, 3]), "[0.0, 1.0, 0.0, 0.0, 0.0, 2.0]"),
        (sparse(2, Wire.tensor(7, [2, 2]).varints(7, [0, 1, 1, 2]), [2, 3]), "[0.0, 1.0, 0.0, 0.0, 0.0, 2.0]"),
        (sparse(2, Wire.tensor(7, [2]).varints(7, [5, 1]), [2, 3]), "its indices are not in ascending order"),
        (sparse(2, Wire.tensor(7, [2]).varints(7, [1, 1]), [2, 3]), "its indices are not in ascending order"),
        (sparse(2, Wire.tensor(7, [2]).varints(7, [1, 6]), [2, 3]), "the index 6 is outside a dimension of 6"),
        (
            sparse(2, Wire.tensor(7, [2, 2]).varints(7, [0, 1, -1, 2]), [2, 3]),
            "the index -1 is outside a dimension of 2"
        ),
        (
            sparse(2, Wire.tensor(7, [3]).varints(7, [0, 1, 2]), [2, 3]),
            "its indices have the shape [3], expected [2] or [2, 2]"
        ),
        (sparse(2, Wire.tensor(6, [2]).varints(5, [1, 5]), [2, 3]), "its indices are of type int32, expected int64"),
        (sparse(2, nil, [2, 3]), "it holds 2 values without indices"),
        (
            sparse(1, Wire.tensor(7, [1]).varints(7, [0]), [1 << 30]),
            "it takes 4294967296 bytes without its zeros left out; 268435456 are allowed"
        ),
        (sparse(1, Wire.tensor(7, [1]).varints(7, [0]), [1 << 62]), "the dimensions [4611686018427387904] overflow"),
    ]

    @Test(arguments: sparseForms.indices) func sparseTensorsGetTheirZeros(_ index: Int) throws {
        let (wire, expected) = Self.sparseForms[index]
        let constant = Wire.node("Constant", [], ["b"]).block(
            5, Wire().text(1, "sparse_value").block(22, wire).integer(20, 11))
        for (graph, subject) in [
            (Wire().block(15, wire), "initialiser 'w': "),
            (Wire().block(1, constant), "node of 'b' (Constant): attribute 'sparse_value': "),
        ] {
            do {
                let read = try ONNXModel(bytes: Wire.model(graph).bytes, name: "m.onnx").graph
                var value = read.initializers.first?.value
                if case .tensor(let tensor)? = read.nodes.first?["sparse_value"] { value = tensor }
                #expect(value?.dimensions == [2, 3])
                #expect(value?.reals?.description == expected)
            } catch let error as ONNXError {
                #expect(error.description == "m.onnx: " + subject + expected)
            }
        }
    }

    @Test func externalDataStaysInsideTheFolder() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("onnx-external-\(UUID().uuidString)")
        let inside = folder.appendingPathComponent("model")
        try FileManager.default.createDirectory(at: inside, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let values: [Float] = [0, 1, 2, 3]
        let data = values.withUnsafeBytes { Data($0) }
        try data.write(to: inside.appendingPathComponent("weights.bin"))
        try data.write(to: folder.appendingPathComponent("secret.bin"))
        try FileManager.default.createSymbolicLink(
            at: inside.appendingPathComponent("link.bin"),
            withDestinationURL: folder.appendingPathComponent("secret.bin"))

        func read(_ entries: [(String, String)]) throws -> ONNXModel {
            var tensor = Wire.tensor(1, [2]).text(8, "w").integer(14, 1)
            for (key, value) in entries { tensor = tensor.block(13, Wire().text(1, key).text(2, value)) }
            let path = inside.appendingPathComponent("model.onnx").path
            try Data(Wire.model(Wire().block(5, tensor).block(12, Wire.value("w"))).bytes).write(
                to: URL(fileURLWithPath: path))
            return try ONNXModel(path: path)
        }
        let model = try read([("location", "weights.bin"), ("offset", "8"), ("length", "8")])
        #expect(model.graph.initializers[0].value.reals == [2, 3])
        for (location, cause) in [
            ("../secret.bin", "is not inside the model's folder"), ("/etc/passwd", "is not inside the model's folder"),
            ("link.bin", "leads out of the model's folder"), ("none.bin", "does not exist"), ("", "is not inside"),
        ] {
            let error = #expect(throws: ONNXError.self) { try read([("location", location)]) }
            #expect(error?.code == .missingData)
            #expect(error?.description.contains("initialiser 'w': the external file '\(location)'") == true)
            #expect(error?.cause.contains(cause) == true)
        }
        for entries in [
            [("location", "weights.bin"), ("offset", "12")], [("location", "weights.bin"), ("length", "4")],
            [("location", "weights.bin"), ("offset", "-4")],
            [("location", "weights.bin"), ("offset", "9223372036854775807")],
        ] {
            #expect(throws: ONNXError.self) { try read(entries) }
        }
    }
}
