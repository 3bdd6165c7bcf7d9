import Execution
import IR
import Operators
import Testing
import Training

@Suite struct MicroBatchTests {
    /// A network without batch statistics: its gradient is a mean over images.
    private static func network(batch: Int) throws -> Graph {
        var g = GraphBuilder(name: "plain")
        let x = g.input("images", .f32(batch, 1, 6, 6))
        let filter = g.parameter("filter", .f32(4, 1, 3, 3))
        let y = try g.append(Relu(), g.append(Conv2D(kernel: 3), x, filter))
        let pooled = try g.append(ReduceMean(axes: [2, 3]), y)
        let logits = try g.append(
            Linear(), pooled, g.parameter("head.weight", .f32(3, 4)), g.parameter("head.bias", .f32(3)))
        return g.finish(outputs: [logits], names: ["logits"])
    }

    private static func train(batch: Int, parts: Int, steps: Int) throws -> (Trainer<SGD>, [TrainingProgress]) {
        let random = RandomSource(seed: 4)
        let loader = try BatchLoader(TinyNetwork.splits(48).weights, batchSize: batch, random: random.fork("data"))
        let trainer = try Trainer(
            .fixed(network(batch: batch).trainingForm()), store: ParameterStore(), loader: loader,
            configuration: TrainingConfiguration(
                steps: steps, optimizer: SGD(), rate: .constant(0.3), clip: 1, microBatches: parts),
            backend: .executor(pool: ThreadPool(threads: 2)), random: random)
        var progress: [TrainingProgress] = []
        trainer.onProgress = { progress.append($0) }
        try trainer.run()
        return (trainer, progress)
    }

    @Test(arguments: [2, 3]) func severalSmallBatchesGiveTheUpdateOfALargeOne(parts: Int) throws {
        let (large, whole) = try Self.train(batch: 12, parts: 1, steps: 6)
        let (small, divided) = try Self.train(batch: 12 / parts, parts: parts, steps: 6)
        for (a, b) in zip(large.store.tensors, small.store.tensors) {
            #expect(a.name == b.name)
            // The same sum in another order.
            for (x, y) in zip(a.values, b.values) { #expect(abs(x - y) < 1e-5, "\(a.name)") }
        }
        for (a, b) in zip(whole, divided) {
            #expect(abs(a.loss - b.loss) < 1e-5)
            #expect(a.accuracy == b.accuracy)
            #expect(a.epoch == b.epoch)
        }
    }

    @Test func aMemoryLimitChangesNoResult() throws {
        let network = try TinyNetwork.graph(batch: 64).trainingForm(), random = RandomSource(seed: 2)
        let store = ParameterStore()
        try store.prepare(for: network, random: random)
        let loader = try BatchLoader(TinyNetwork.splits(64).weights, batchSize: 64, random: random)
        let pool = try ThreadPool(threads: 2), arenas = [Arena(), Arena()]
        let free = try NetworkStep(network, store: store, backend: .executor(pool: pool, arena: arenas[0]))
        let limit = arenas[0].bytes - 10_000
        let limited = try NetworkStep(
            network, store: store, backend: .executor(pool: pool, arena: arenas[1], memoryLimit: limit))
        #expect(arenas[1].bytes <= limit)
        let batch = loader.batch(0)
        try free.run(batch, random: random)
        let expected = free.gradients.map { Array(UnsafeBufferPointer(start: $0.gradient, count: $0.tensor.count)) }
        try limited.run(batch, random: random)
        let found = limited.gradients.map { Array(UnsafeBufferPointer(start: $0.gradient, count: $0.tensor.count)) }
        #expect(expected == found)
    }
}
