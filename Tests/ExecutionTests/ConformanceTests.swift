import Execution
import IR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct ConformanceTests {
    /// Plain and channels-last, on one thread and two: what the interpreter says.
    @Test(arguments: Specimen.registered.map(\.name)) func runsAsTheInterpreterDoes(name: String) throws {
        let specimen = try #require(Specimen.registered.first { $0.name == name }?.specimen)
        var random = RandomSource(seed: 11).fork(name)
        let operands: [ReferenceTensor<Float>] = specimen.draw(&random)
        let expected = try Interpreter.evaluate(specimen.op, operands).map(\.literal)
        var g = GraphBuilder(name: "use")
        let inputs = operands.enumerated().map { g.input("x\($0)", $1.type) }
        let results = try g.appendAll(specimen.op, inputs)
        let plain = g.finish(outputs: results)
        for graph in [plain, try plain.applying(chooseLayout(), lowerForExecution)] {
            for threads in [1, 2] {
                let executor = try Executor(graph, pool: ThreadPool(threads: threads))
                try executor.run(literals: operands.map(\.literal))
                for (index, literal) in expected.enumerated() {
                    // Rounding of sums of up to some hundred terms.
                    #expect(
                        difference(executor.output(index).literal, literal) <= 2e-5,
                        "\(index), \(threads) threads:\n\(graph)")
                }
            }
        }
    }
}
