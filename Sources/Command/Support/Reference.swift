import CodeGeneration
import Hardware
import IR
import Passes

/// Reference results, by another way than the program that they are compared with.
enum Reference {
    /// Most multiply-accumulates, and a quarter of the most elements, for which the definitions of the operators are run themselves.
    static let definitionLimit = 2_000_000

    /// About what ``testVector(for:seed:)`` takes.
    static func seconds(macs: Int) -> Double {
        macs <= definitionLimit ? Double(macs) * 5e-7 : 2 + Double(macs) * 5e-10
    }

    /// Pseudo-random inputs of a graph and its outputs.
    ///
    /// Small graphs are run by their operators' definitions. Large ones run as portable C in which nothing is
    /// fused, since the definitions would take minutes.
    static func testVector(for graph: Graph, seed: UInt64 = 1) throws -> TestVector {
        let inputs = inputs(for: graph, seed: seed)
        let elements = graph.nodes.reduce(0) { $0 + graph.types(of: $1.results).reduce(0) { $0 + $1.count } }
        if elements <= 4 * definitionLimit, try Cost(of: graph).macs <= definitionLimit {
            let outputs = try Interpreter.run(graph, inputs: inputs.map { ReferenceTensor<Double>($0) })
            return TestVector(inputs: inputs, outputs: outputs.map(\.literal))
        }
        let passes = [removeDeadCode, foldConstants, widenHalf, legaliseForC, foldConstants]
        let plain = try Pipeline(passes, stage: .deployable).run(graph)
        let program = SourceProgram(try CProgram(plain, options: COptions(name: "reference")))
        let target = try TargetLibrary().target("host")
        let outputs = try Folders.withTemporary { folder in
            let built = try Builder(for: target, in: folder, flags: ["-O2", "-std=gnu99"]).build(program, as: .run)
            return try ProgramRunner(for: target).run(built, inputs: inputs.map(\.bytes))
        }
        let types = graph.types(of: graph.outputs)
        return TestVector(inputs: inputs, outputs: zip(types, outputs).map { Literal($0.element, $0.shape, bytes: $1) })
    }

    /// Reals between -1 and 1; integers of 0 and 1, which any axis with two entries can be indexed by.
    static func inputs(for graph: Graph, seed: UInt64) -> [Literal] {
        var random = RandomSource(seed: seed).fork("inputs")
        return graph.types(of: graph.inputs).map { type in
            if type.element.isFloatingPoint {
                return Literal(type.element, type.shape, reals: (0..<type.count).map { _ in random.uniform() * 2 - 1 })
            }
            return Literal(
                type.element, type.shape, integers: (0..<type.count).map { _ in Int64(random.integer(below: 2)) })
        }
    }
}
