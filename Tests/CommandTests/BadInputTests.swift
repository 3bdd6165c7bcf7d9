import Foundation
import IR
import ONNXFormat
import Testing

/// Files that are wrong end with 3 or 4 and one line that names file and cause; nothing is left behind.
@Suite struct BadInputTests {
    private static func value(_ name: String, _ shape: [Int], _ type: ONNXElementType = .float) -> ONNXModel.ValueInfo {
        .init(name: name, type: .tensor(type, shape.map { .known($0) }))
    }

    private static func model(
        _ nodes: [ONNXModel.Node], inputs: [ONNXModel.ValueInfo] = [value("x", [2, 3])], outputs: [String] = ["y"],
        initializers: [ONNXModel.Initializer] = []
    ) throws -> [UInt8] {
        var graph = ONNXModel.Graph(name: "bad")
        graph.inputs = inputs
        graph.outputs = outputs.map { .init(name: $0, type: .undeclared) }
        graph.nodes = nodes
        graph.initializers = initializers
        return try ONNXModel(graph: graph).serialized()
    }

    /// A message of protobuf: a field with bytes.
    private static func field(_ number: Int, _ bytes: [UInt8]) -> [UInt8] {
        func varint(_ value: Int) -> [UInt8] {
            value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7f | 0x80)] + varint(value >> 7)
        }
        return varint(number << 3 | 2) + varint(bytes.count) + bytes
    }

    /// `y = Add(x, w)` with the given TensorProto as `w`, written by hand because no sound writer would.
    private static func initialised(by tensor: [UInt8]) throws -> [UInt8] {
        func text(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
        let node = text(1, "x") + text(1, "w") + text(2, "y") + text(3, "sum") + text(4, "Add")
        let shape = field(1, [0x08, 2]) + field(1, [0x08, 3])
        let input = text(1, "x") + field(2, field(1, [0x08, 1] + field(2, shape)))
        let graph = field(1, node) + field(5, text(8, "w") + tensor) + field(11, input) + field(12, text(1, "y"))
        return [0x08, 8] + field(8, text(1, "") + [0x10, 17]) + field(7, graph)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var status: Int32
        var words: String
        var bytes: @Sendable () throws -> [UInt8]

        init(_ what: String, _ status: Int32, _ words: String, _ bytes: @escaping @Sendable () throws -> [UInt8]) {
            (testDescription, self.status, self.words, self.bytes) = (what, status, words, bytes)
        }
    }

    private static let dimensions: [UInt8] = [0x08, 2, 0x08, 3, 0x10, 1]

    static let cases: [Case] = [
        Case("empty", 4, "") { [] },
        Case("text", 4, "not") { Array("this is no model\n".utf8) },
        Case("truncated", 4, "") {
            try Array(model([.init("Relu", name: "r", inputs: ["x"], outputs: ["y"])]).dropLast(9))
        },
        Case("a cycle", 4, "cycl") {
            try model([
                .init("Add", name: "first", inputs: ["x", "b"], outputs: ["a"]),
                .init("Relu", name: "second", inputs: ["a"], outputs: ["b"]),
                .init("Relu", name: "third", inputs: ["b"], outputs: ["y"]),
            ])
        },
        Case("an operand that nobody makes", 4, "'ghost'") {
            try model([.init("Add", name: "sum", inputs: ["x", "ghost"], outputs: ["y"])])
        },
        Case("an operand left out", 4, "node 'sum' (Add)") {
            try model([.init("Add", name: "sum", inputs: ["x"], outputs: ["y"])])
        },
        Case("an output that nobody makes", 4, "'y'") {
            try model([.init("Relu", name: "r", inputs: ["x"], outputs: ["z"])])
        },
        Case("a value made twice", 4, "'y'") {
            try model([.init("Relu", inputs: ["x"], outputs: ["y"]), .init("Neg", inputs: ["x"], outputs: ["y"])])
        },
        Case("ranks that do not fit", 4, "node 'product' (MatMul)") {
            try model(
                [.init("MatMul", name: "product", inputs: ["x", "w"], outputs: ["y"])],
                inputs: [value("x", [2, 3]), value("w", [4, 5])])
        },
        Case("types that differ", 4, "node 'sum' (Add)") {
            try model(
                [.init("Add", name: "sum", inputs: ["x", "i"], outputs: ["y"])],
                inputs: [value("x", [2, 3]), value("i", [2, 3], .int64)])
        },
        Case("dimensions that overflow", 4, "input 'x'") {
            try model(
                [.init("Relu", inputs: ["x"], outputs: ["y"])], inputs: [value("x", [1 << 40, 1 << 40])])
        },
        Case("dimensions that no memory holds", 4, "") {
            try model([.init("Relu", inputs: ["x"], outputs: ["y"])], inputs: [value("x", [1 << 30, 1 << 30])])
        },
        Case("an initialiser that lies about its size", 4, "initialiser 'w'") {
            try initialised(by: dimensions + field(9, [UInt8](repeating: 0, count: 20)))
        },
        Case("an initialiser of negative size", 4, "initialiser 'w'") {
            try initialised(
                by: [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x10, 1] + field(9, [0, 0, 0, 0]))
        },
        Case("external data outside the folder", 4, "not inside the model's folder") {
            let entry = field(1, Array("location".utf8)) + field(2, Array("../../etc/passwd".utf8))
            return try initialised(by: dimensions + field(13, entry) + [0x70, 1])
        },
        Case("an absolute external path", 4, "not inside the model's folder") {
            let entry = field(1, Array("location".utf8)) + field(2, Array("/etc/passwd".utf8))
            return try initialised(by: dimensions + field(13, entry) + [0x70, 1])
        },
        Case("an unknown operator", 3, "operator Frobnicate is not supported") {
            try model([.init("Frobnicate", name: "f", inputs: ["x"], outputs: ["y"])])
        },
        Case("a shape that depends on data", 3, "--bind shape=") {
            try model(
                [.init("Reshape", name: "r", inputs: ["x", "shape"], outputs: ["y"])],
                inputs: [value("x", [2, 3]), value("shape", [2], .int64)])
        },
        Case("strings", 3, "input 's'") {
            try model([.init("Identity", inputs: ["s"], outputs: ["y"])], inputs: [value("s", [2], .string)])
        },
        Case("an open dimension", 4, "--dim batch=1") {
            try model(
                [.init("Relu", inputs: ["x"], outputs: ["y"])],
                inputs: [.init(name: "x", type: .tensor(.float, [.symbolic("batch"), .known(3)]))])
        },
    ]

    @Test(arguments: cases) func isRefusedInOneLine(_ entry: Case) throws {
        let shell = try Shell()
        try Data(try entry.bytes()).write(to: shell.folder.appendingPathComponent("bad.onnx"))
        let outcome = try shell.martlet("compile", "bad.onnx", "-o", "out", "--quiet")
        #expect(outcome.status == entry.status, "\(outcome.errors)")
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.hasPrefix("martlet: bad.onnx: "), "\(outcome.errors)")
        #expect(entry.words.isEmpty || outcome.errors.contains(entry.words), "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        #expect(try shell.names().filter { $0 != "cache" } == ["bad.onnx"])
    }

    @Test func aLinkOutOfTheFolderIsNotFollowed() throws {
        let shell = try Shell()
        try FileManager.default.createDirectory(atPath: shell.path("model"), withIntermediateDirectories: true)
        try Data(count: 24).write(to: shell.folder.appendingPathComponent("secret"))
        try FileManager.default.createSymbolicLink(
            atPath: shell.path("model/w.bin"), withDestinationPath: shell.path("secret"))
        let entry = Self.field(1, Array("location".utf8)) + Self.field(2, Array("w.bin".utf8))
        let bytes = try Self.initialised(by: Self.dimensions + Self.field(13, entry) + [0x70, 1])
        try Data(bytes).write(to: shell.folder.appendingPathComponent("model/bad.onnx"))
        let outcome = try shell.martlet("compile", "model/bad.onnx", "-o", "out")
        #expect(outcome.status == 4)
        #expect(outcome.errors.contains("a link that leads out of the model's folder"), "\(outcome.errors)")
    }

    /// Names that are no C identifiers, or collide once they are, compile and run.
    @Test func oddNamesCompile() throws {
        let shell = try Shell()
        let nodes: [ONNXModel.Node] = [
            .init("Add", name: "int main() { */", inputs: ["a b", "a/b"], outputs: ["double"]),
            .init("Relu", name: "\"\\", inputs: ["double"], outputs: ["9 *"]),
        ]
        let bytes = try Self.model(
            nodes, inputs: [Self.value("a b", [4]), Self.value("a/b", [4])], outputs: ["double", "9 *"])
        try Data(bytes).write(to: shell.folder.appendingPathComponent("1-odd name.onnx"))
        let outcome = try shell.martlet("compile", "1-odd name.onnx", "-o", "out")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let check = try shell.run(["make", "-s", "-C", "out", "check"])
        #expect(check.status == 0 && check.output.hasSuffix("ok\n"), "\(check.output)\(check.errors)")
    }

    /// A silent input is bound to the value that decides a branch.
    @Test func anInputThatDecidesIsBound() throws {
        let shell = try Shell()
        var then = ONNXModel.Graph(name: "then"), otherwise = ONNXModel.Graph(name: "otherwise")
        then.nodes = [.init("Relu", inputs: ["x"], outputs: ["t"])]
        then.outputs = [.init(name: "t", type: .undeclared)]
        otherwise.nodes = [.init("Neg", inputs: ["x"], outputs: ["e"])]
        otherwise.outputs = [.init(name: "e", type: .undeclared)]
        let nodes: [ONNXModel.Node] = [
            .init("Equal", inputs: ["rate", "sixteen"], outputs: ["fast"]),
            .init(
                "If", name: "choice", inputs: ["fast"], outputs: ["y"],
                attributes: [.init("then_branch", .graph(then)), .init("else_branch", .graph(otherwise))]),
        ]
        let bytes = try Self.model(
            nodes, inputs: [Self.value("x", [3]), Self.value("rate", [], .int64)],
            initializers: [.init(name: "sixteen", value: try ONNXTensorValue(.int64, [], [16000] as [Int64]))])
        try Data(bytes).write(to: shell.folder.appendingPathComponent("model.onnx"))
        let open = try shell.martlet("compile", "model.onnx", "-o", "out")
        #expect(open.status == 3)
        #expect(open.errors.contains("give its value, such as --bind rate=1"), "\(open.errors)")
        for (rate, operation) in [("16000", "relu"), ("8000", "negate")] {
            let text = try shell.martlet("inspect", "model.onnx", "--as-written", "--bind", "rate=\(rate)").output
            #expect(text.contains("= \(operation) "), "\(text)")
            #expect(!text.contains("rate"))
        }
        #expect(try shell.martlet("inspect", "model.onnx", "--bind", "speed=1").status == 4)
        #expect(try shell.martlet("inspect", "model.onnx", "--bind", "rate").status == 64)
        #expect(try shell.martlet("inspect", "model.onnx", "--bind", "rate=1,2").status == 4)
    }
}
