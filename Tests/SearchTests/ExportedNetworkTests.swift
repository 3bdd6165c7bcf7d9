import Foundation
import IR
import ONNXFormat
import Operators
import Passes
import Spaces
import Testing

/// Networks of every space as ONNX files.
@Suite struct ExportedNetworkTests {
    @Test(arguments: ["mbconv-224", "mbconv-28", "micro-125", "nas-bench-201"])
    func aNetworkReadsBackAsTheSameGraph(name: String) throws {
        let space = try SpaceLibrary().space(name)
        var random = RandomSource(seed: 8)
        // The first of every choice too: in cells, where nothing is connected and zeros are made instead.
        for round in 0..<4 {
            let choices = space.alphabet.map { round == 0 ? 0 : random.integer(below: $0) }
            let graph = try network(space, Architecture(choices: choices), &random)
            let bytes = try ONNXExporter.model(of: graph).serialized()
            let read = try ONNXImporter.graph(of: ONNXModel(bytes: bytes))
            #expect(try ONNXExporter.difference(between: graph, andReadBack: read) == nil)
            // Written again and again, the file is the same to the byte: names do not drift. Reading folds zeros into
            // constants, so this holds from the second file on.
            let second = try ONNXExporter.model(of: read).serialized()
            let again = try ONNXImporter.graph(of: ONNXModel(bytes: second))
            #expect(try ONNXExporter.model(of: again).serialized() == second)
        }
    }

    @Test func names() throws {
        let space = try SpaceLibrary().space("mbconv-28")
        var random = RandomSource(seed: 8)
        let graph = try network(space, Architecture(choices: space.alphabet.map { _ in 0 }), &random)
        let model = try ONNXExporter.model(of: graph)
        let names = model.graph.nodes.map(\.name)
        #expect(Set(names).count == names.count)
        // A place in the network first, what happens there last.
        #expect(names.contains { $0.hasPrefix("stem") } && names.contains { $0.hasPrefix("stage2") }, "\(names)")
        #expect(
            names.allSatisfy { name in name.allSatisfy { $0.isLetter || $0.isNumber || "._/".contains($0) } },
            "\(names)")
    }

    @Test(arguments: [
        ("{padding = [1, 1, 1, 1]}", "{padding = [0, 0, 2, 2]}"), ("2.0, 3.0]", "2.0, 3.5]"),
        ("add \"sum\" %1, %x", "add \"sum\" %x, %1"), ("relu \"act\"", "relu \"activation\""),
        ("relu \"act\"", "sigmoid \"act\""), ("return %3", "return %2"), ("%x: f32", "%image: f32"),
    ])
    func whatDiffersIsFound(old: String, new: String) throws {
        let text = """
            graph @network(%x: f32[1,1,4,4]) {
              %0 = constant [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0] : f32[1,1,3,3]
              %1 = conv2d "conv" %x, %0 {padding = [1, 1, 1, 1]} : f32[1,1,4,4]
              %2 = add "sum" %1, %x : f32[1,1,4,4]
              %3 = relu "act" %2 : f32[1,1,4,4]
              return %3
            }
            """
        let changed = text.replacing(old, with: new).replacing("%x", with: old == "%x: f32" ? "%image" : "%x")
        let graph = try Graph(parsing: text), other = try Graph(parsing: changed)
        #expect(try ONNXExporter.difference(between: graph, andReadBack: graph) == nil)
        #expect(try ONNXExporter.difference(between: graph, andReadBack: other) != nil, "\(changed)")
    }

    /// A network of a space as a search exports it, with random weights.
    private func network(_ space: SearchSpace, _ architecture: Architecture, _ random: inout RandomSource) throws
        -> Graph
    {
        let network = try Supernet.standalone(space).build(architecture, batch: 1, .inference)
        var values: [String: Literal] = [:]
        for parameter in network.parameters {
            let count = parameter.shape.reduce(1, *)
            values[parameter.name] = Literal(
                (0..<count).map { _ in Float(random.uniform(in: 0.1..<1)) }, shape: parameter.shape)
        }
        return try network.graph.applying(
            bindParameters(to: values), removeDeadCode, foldConstants, removeIdentities, mergeDuplicates, foldBatchNorm,
            removeDeadCode, stage: .deployable)
    }
}
