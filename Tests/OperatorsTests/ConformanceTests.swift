import IR
import Operators
import Passes
import TestSupport
import Testing

/// What every operator must satisfy by being registered.
@Suite struct ConformanceTests {
    @Test func everyOperatorHasSpecimens() {
        for type in Registry.all { #expect(!type.specimens.isEmpty, "\(type.mnemonic) has no specimen") }
        #expect(Set(Registry.all.map { $0.mnemonic }).count == Registry.all.count)
    }

    @Test(arguments: Specimen.registered.map(\.name))
    func resultsHaveTheInferredTypes(name: String) throws {
        let specimen = try #require(Specimen.named(name))
        var random = RandomSource(seed: 1).fork(name)
        let operands: [ReferenceTensor<Float>] = specimen.draw(&random)
        let types = try specimen.op.inferPlain(operands.map(\.type))
        let results = try Interpreter.evaluate(specimen.op, operands)
        #expect(results.map(\.type) == types)
        for result in results { #expect(result.reals.count == result.count) }
    }

    @Test(arguments: Specimen.registered.map(\.name))
    func decompositionEqualsDefinition(name: String) throws {
        let specimen = try #require(Specimen.named(name))
        var random = RandomSource(seed: 2).fork(name)
        let operands: [ReferenceTensor<Double>] = specimen.draw(&random, widens: true)
        let types = try specimen.op.inferPlain(operands.map(\.type))
        guard let defined = specimen.op.evaluate(operands, types),
            let graph = try Interpreter.decomposition(of: specimen.op, operands.map(\.type))
        else { return }
        let decomposed = try Interpreter.run(graph, inputs: operands)
        for (a, b) in zip(defined, decomposed) {
            #expect(a.type == b.type)
            #expect(distance(a.reals, b.reals) < 1e-12, "\(name)")
        }
    }

    @Test(arguments: Specimen.registered.map(\.name))
    func textRoundTrips(name: String) throws {
        let specimen = try #require(Specimen.named(name))
        var g = GraphBuilder(name: "specimen")
        let inputs = specimen.operands.enumerated().map { g.input("x\($0)", $1.type) }
        let results = try g.appendAll(specimen.op, inputs, name: "it's \"here\"")
        let graph = g.finish(outputs: results)
        try graph.verify()
        #expect(try Graph(parsing: graph.description) == graph)
        #expect(try Graph(parsing: graph.description).description == graph.description)
    }

    /// The gradient, and the gradient of its product with a random direction, against central differences in double.
    @Test(arguments: Specimen.registered.filter(\.specimen.isDifferentiable).map(\.name))
    func gradientsEqualFiniteDifferences(name: String) throws {
        let specimen = try #require(Specimen.named(name))
        var random = RandomSource(seed: 3).fork(name)
        let operands: [ReferenceTensor<Double>] = specimen.draw(&random, widens: true)
        let real = operands.indices.filter { operands[$0].element.isFloatingPoint }
        guard !real.isEmpty else { return }

        // loss = Σ weights · results, then its gradients; product = Σ gradient · direction, then its gradients.
        var g = GraphBuilder(name: name)
        let inputs = operands.enumerated().map { g.input("x\($0)", $1.type) }
        let results = try g.appendAll(specimen.op, inputs).filter { g.type(of: $0).element.isFloatingPoint }
        guard !results.isEmpty else { return }
        var total: Value?
        for result in results {
            let weights = g.constant(
                Literal(.f64, g.type(of: result).shape, reals: draw(g.type(of: result).count, &random)))
            let sum = try g.append(ReduceSum(), g.append(Multiply(), result, weights))
            total = try total.map { try g.append(Add(), $0, sum) } ?? sum
        }
        let loss = try #require(total), variables = real.map { inputs[$0] }
        let gradients = try g.gradients(of: [loss], wrt: variables)
        let first = zip(real, gradients).filter { $0.1 != nil }
        guard !first.isEmpty else { return }
        let gradientGraph = g.finish(outputs: [loss] + first.map { $0.1! })
        var product: Value?
        for (_, gradient) in first {
            let direction = g.constant(
                Literal(.f64, g.type(of: gradient!).shape, reals: draw(g.type(of: gradient!).count, &random)))
            let sum = try g.append(ReduceSum(), g.append(Multiply(), gradient!, direction))
            product = try product.map { try g.append(Add(), $0, sum) } ?? sum
        }
        let second = try g.gradients(of: [product!], wrt: variables)
        let secondGraph = g.finish(outputs: [product!] + second.compactMap { $0 })
        let secondIndices = zip(real, second).filter { $0.1 != nil }.map(\.0)

        try expectDerivative(of: gradientGraph, indices: first.map(\.0), operands, &random, "\(name): first derivative")
        if !secondIndices.isEmpty {
            try expectDerivative(
                of: secondGraph, indices: secondIndices, operands, &random, "\(name): second derivative")
        }
    }

    /// Output 0's change along a random direction equals the product of the direction with the other outputs.
    private func expectDerivative(
        of graph: Graph, indices: [Int], _ operands: [ReferenceTensor<Double>], _ random: inout RandomSource,
        _ what: String
    ) throws {
        let outputs = try Interpreter.run(graph, inputs: operands)
        let step = 1e-5
        var up = operands, down = operands, expected = 0.0
        for (k, index) in indices.enumerated() {
            let direction = draw(operands[index].count, &random)
            let gradient = outputs[k + 1].reals
            #expect(outputs[k + 1].shape == operands[index].shape, "\(what)")
            expected += zip(direction, gradient).reduce(0) { $0 + $1.0 * $1.1 }
            let values = operands[index].reals
            up[index] = ReferenceTensor(operands[index].type, zip(values, direction).map { $0 + step * $1 })
            down[index] = ReferenceTensor(operands[index].type, zip(values, direction).map { $0 - step * $1 })
        }
        let found =
            (try Interpreter.run(graph, inputs: up)[0].reals[0] - Interpreter.run(graph, inputs: down)[0].reals[0])
            / (2 * step)
        // A central difference errs by the third derivative times step², and by rounding over step.
        #expect(abs(found - expected) <= 1e-6 * max(1, abs(expected)), "\(what): \(expected), by differences \(found)")
    }

    private func draw(_ count: Int, _ random: inout RandomSource) -> [Double] {
        (0..<count).map { _ in random.uniform() * 2 - 1 }
    }

    private func distance(_ a: [Double], _ b: [Double]) -> Double {
        zip(a, b).map { abs($0 - $1) / max(1, abs($0)) }.max() ?? 0
    }
}

extension Specimen {
    static func named(_ name: String) -> Specimen? { registered.first { $0.name == name }?.specimen }
}
