import CodeGeneration
import IR
import Operators
import Passes
import TestSupport
import Testing

/// Every specimen of every operator as a program of its own, all of them linked into one executable.
@Suite struct SpecimenTests {
    @Test(arguments: [
        ["gcc", "-O2"], ["clang", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    ])
    func emittedCodeEqualsTheDefinition(compiler: [String]) throws {
        let cases = try Self.cases()
        #expect(cases.count > 50)
        for (item, found) in zip(cases, try TestProgram.run(cases, compiler: compiler)) {
            for (found, expected) in zip(found, item.test.outputs) {
                #expect(difference(found, expected) <= tolerance(expected.element), "\(item.name)")
            }
        }
    }

    /// A program for each specimen that can be deployed; its expected outputs are the interpreter's.
    static func cases() throws -> [TestProgram] {
        try Specimen.registered.enumerated().compactMap { index, item in
            let specimen = item.specimen
            guard !specimen.op.isTrainingOnly else { return nil }
            var random = RandomSource(seed: 5).fork(item.name)
            let operands: [ReferenceTensor<Float>] = specimen.draw(&random)
            var g = GraphBuilder(name: item.name)
            var inputs: [Literal] = []
            var values: [Value] = []
            for (operand, tensor) in zip(specimen.operands, operands) {
                if case .literal(let literal) = operand {
                    values.append(g.constant(literal))
                } else {
                    values.append(g.input("x\(inputs.count)", tensor.type))
                    inputs.append(tensor.literal)
                }
            }
            let results = try g.appendAll(specimen.op, values)
            let graph = g.finish(outputs: results)
            let outputs = try Interpreter.run(graph, inputs: inputs.map { ReferenceTensor<Float>($0) }).map(\.literal)
            let deployed: Graph
            do { deployed = try Pipeline.deployment().run(graph) } catch {
                // Gradients of gradients and the like are never deployed, and need no C.
                Issue.record("\(item.name): \(error)")
                return nil
            }
            let name = "s\(index)_" + item.name
            return TestProgram(
                name: item.name, program: try CProgram(deployed, options: COptions(name: name)),
                test: TestVector(inputs: inputs, outputs: outputs))
        }
    }
}

/// The largest difference, relative to the largest expected value; integers that differ count as infinitely far.
func difference(_ found: Literal, _ expected: Literal) -> Double {
    guard expected.element.isFloatingPoint else { return found.bytes == expected.bytes ? 0 : .infinity }
    var largest = 0.0, worst = 0.0
    for (f, e) in zip(found.reals, expected.reals) {
        if f == e || (f.isNaN && e.isNaN) { continue }
        guard (f - e).isFinite else { return .infinity }
        largest = max(largest, abs(e))
        worst = max(worst, abs(f - e))
    }
    return worst == 0 ? 0 : worst / max(largest, .leastNormalMagnitude)
}

/// Some roundings of the element type: sums here have at most a hundred terms.
func tolerance(_ element: ElementType) -> Double {
    switch element {
    case .f64: 1e-6  // the interpreter computed in single precision
    case .f16: 2e-3
    case .bf16: 2e-2
    default: 2e-6
    }
}
