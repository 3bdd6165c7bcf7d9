import IR
import Operators
import Passes
import Testing
import Training

@Suite struct NetworkFormTests {
    @Test func trainingFormNamesLossStatisticsAndGradients() throws {
        let network = try TinyNetwork.graph(batch: 2, dropout: 0.5)
        let step = try network.trainingForm().withParameterGradients()
        try step.verify(.training)
        #expect(step.inputNames == ["images", "key", "targets"])
        #expect(
            step.outputNames == [
                "loss", "logits", "stem.norm.mean", "stem.norm.variance", "a.norm.mean", "a.norm.variance",
                "grad.stem.filter", "grad.stem.norm.scale", "grad.stem.norm.bias", "grad.a.filter", "grad.a.norm.scale",
                "grad.a.norm.bias", "grad.head.weight", "grad.head.bias",
            ])
        #expect(step.types(of: step.outputs)[0] == .f32())
    }

    @Test func inferenceFormHasParametersForStatisticsAndNoDropout() throws {
        let graph = try TinyNetwork.graph(batch: 2, dropout: 0.5).inferenceForm()
        try graph.verify(.training)
        #expect(graph.inputNames == ["images"])
        #expect(graph.outputNames == ["logits"])
        #expect(graph.nodes.allSatisfy { !$0.op.isTrainingOnly })
        #expect(Set(graph.parameters.map(\.name)).isSuperset(of: ["stem.norm.mean", "a.norm.variance"]))
    }

    @Test func formsAgreeWhereStatisticsDo() throws {
        let network = try TinyNetwork.graph(batch: 6)
        let store = ParameterStore()
        try store.prepare(for: network, random: RandomSource(seed: 1))
        let batch = try BatchLoader(TinyNetwork.splits(6).weights, batchSize: 6, random: RandomSource(seed: 2)).batch(0)
        let images = ReferenceTensor<Double>(.f32, [6, 1, 6, 6], batch.images.map(Double.init))
        var values = Dictionary(
            uniqueKeysWithValues: store.tensors.map { ($0.name, ReferenceTensor<Double>($0.literal)) })
        let expected = try Interpreter.run(network, inputs: [images], parameters: values)[0].reals
        let form = try network.calibrationForm()
        #expect(form.outputNames.first == "logits")
        for (name, value) in zip(form.outputNames, try Interpreter.run(form, inputs: [images], parameters: values)) {
            values[name] = value
        }
        let found = try Interpreter.run(network.inferenceForm(), inputs: [images], parameters: values)[0].reals
        for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-6) }
    }

    @Test func batchNormsNeedNamesOfTheirOwn() throws {
        var g = GraphBuilder(name: "twice")
        var x = g.input("images", .f32(2, 3, 4, 4))
        for _ in 0..<2 { x = try g.appendAll(BatchNorm(), [x], name: "norm")[0] }
        let graph = g.finish(outputs: [x])
        #expect(throws: ShapeError.self) { try graph.inferenceForm() }
        let error = #expect(throws: ShapeError.self) { try graph.calibrationForm() }
        #expect(
            error?.description
                == "norm: every batch_norm of a network needs a name of its own: its running statistics are kept by it")
        #expect(throws: ShapeError.self) { try graph.trainingForm() }
    }

    @Test func initialValuesFollowTheirUse() throws {
        let network = try TinyNetwork.graph(batch: 2)
        let store = ParameterStore()
        try store.prepare(for: network.inferenceForm(), random: RandomSource(seed: 1))
        #expect(Array(try #require(store["stem.norm.scale"]).values) == [1, 1, 1, 1])
        #expect(Array(try #require(store["stem.norm.variance"]).values) == [1, 1, 1, 1])
        #expect(Array(try #require(store["stem.norm.bias"]).values) == [0, 0, 0, 0])
        #expect(store["stem.norm.mean"]?.kind == .statistic)
        #expect(store["stem.norm.scale"]?.kind == .weight)
        #expect(try #require(store["head.weight"]).values.allSatisfy { abs($0) <= 0.5 && $0 != 0 })

        var g = GraphBuilder(name: "wide")
        let x = g.input("images", .f32(1, 16, 8, 8))
        let shared = g.parameter("shared", .f32(64, 16, 5, 5))
        let slice = try g.append(Slice(starts: [0, 0, 1, 1], sizes: [32, 16, 3, 3]), shared)
        let y = try g.append(Conv2D(), x, slice)
        let graph = g.finish(outputs: [y])
        try store.prepare(for: graph, random: RandomSource(seed: 1))
        let values = try #require(store["shared"]).values.map(Double.init)
        let variance = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
        #expect(abs(variance * 16 * 25 / 2 - 1) < 0.03)

        let again = ParameterStore()
        try again.prepare(for: graph, random: RandomSource(seed: 1))
        #expect(again["shared"]?.literal == store["shared"]?.literal)
    }
}
