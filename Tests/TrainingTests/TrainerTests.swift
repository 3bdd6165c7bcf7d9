import Execution
import Foundation
import IR
import Operators
import Testing
import Training

@Suite struct TrainerTests {
    typealias Configuration = TrainingConfiguration<SGD>

    static func configuration(_ steps: Int) -> Configuration {
        Configuration(
            steps: steps, optimizer: SGD(weightDecay: 1e-3), rate: .warmUp(steps: 2, then: .cosine(from: 0.2)), clip: 2,
            averageDecay: 0.9)
    }

    static func trainer(
        _ steps: Int, source: NetworkSource? = nil, seed: UInt64 = 3, batch: Int = 6, folder: URL? = nil,
        interval: Int = 4,
        backend: Backend? = nil
    ) throws -> Trainer<SGD> {
        let random = RandomSource(seed: seed)
        let loader = try BatchLoader(
            TinyNetwork.splits(30).weights, batchSize: batch, augmentation: Augmentation(cropPadding: 1, mixup: 0.2),
            random: random.fork("data"))
        let trainer = try Trainer(
            source ?? .fixed(TinyNetwork.graph(batch: batch, dropout: 0.2).trainingForm()), store: ParameterStore(),
            loader: loader,
            configuration: configuration(steps), backend: backend ?? executor(), random: random)
        trainer.checkpoints = folder.map { CheckpointPolicy(CheckpointStore(folder: $0), every: interval) }
        return trainer
    }

    static func executor() throws -> Backend { .executor(pool: try ThreadPool(threads: 2)) }

    static var alternating: NetworkSource {
        .sampled { _, random in
            var random = random
            return try TinyNetwork.graph(batch: 6, branch: random.bernoulli() ? "a" : "b", dropout: 0.2).trainingForm()
        }
    }

    static func state(_ trainer: Trainer<SGD>) -> [SafeTensors?] {
        [trainer.store.snapshot(), trainer.store.optimizerState(SGD()), trainer.average?.snapshot()]
    }

    @Test func learnsAndEvaluates() throws {
        let random = RandomSource(seed: 5)
        let splits = try TinyNetwork.splits(48, validation: 13)
        let network = try TinyNetwork.graph(batch: 7)
        let loader = try BatchLoader(splits.weights, batchSize: 7, random: random)
        let trainer = try Trainer(
            .fixed(network.trainingForm()), store: ParameterStore(), loader: loader,
            configuration: Configuration(steps: 60, optimizer: SGD(), rate: .cosine(from: 0.1)),
            backend: Self.executor(),
            random: random)
        var progress: [TrainingProgress] = []
        trainer.onProgress = { progress.append($0) }
        try trainer.run()
        #expect(progress.count == 60)
        #expect(progress[59].loss < progress[0].loss / 3)
        #expect(progress[59].remaining == .zero)
        #expect(progress[30].imagesPerSecond > 0)
        #expect(progress[59].epoch == 59 / 5)

        let evaluator = Evaluator(backend: try Self.executor())
        let before = trainer.store.snapshot()
        let running = try evaluator.evaluate(network.inferenceForm(), store: trainer.store, on: splits.validation)
        #expect(running.count == 13)
        #expect(running.accuracy > 0.9)
        let statistics = try evaluator.recalibrated(
            network.calibrationForm(), store: trainer.store, on: splits.weights, batches: 5, random: random)
        let exact = try evaluator.evaluate(
            network.inferenceForm(), store: trainer.store, statistics: statistics, on: splits.validation)
        #expect(exact.accuracy > 0.9)
        #expect(exact.loss < 0.4)
        let ofBatch = try evaluator.evaluate(network.calibrationForm(), store: trainer.store, on: splits.validation)
        #expect(ofBatch.count == 7)
        #expect(trainer.store.snapshot() == before)
    }

    @Test func everyOperatorOfAStepHasAKernel() throws {
        let trainer = try Self.trainer(1)
        let form = try TinyNetwork.graph(batch: 6, dropout: 0.2).trainingForm()
        #expect(try NetworkStep(form, store: trainer.store, backend: Self.executor()).slowOperators == [])
    }

    @Test(arguments: [false, true])
    func executorTrainsAsTheInterpreterDoes(_ sampled: Bool) throws {
        let source = { sampled ? Self.alternating : nil }
        let reference = try Self.trainer(4, source: source(), backend: .interpreter)
        let found = try Self.trainer(4, source: source())
        try reference.run()
        try found.run()
        #expect(found.store.tensors.map(\.name) == reference.store.tensors.map(\.name))
        for (a, b) in zip(found.store.tensors, reference.store.tensors) {
            for (x, y) in zip(a.values, b.values) {
                #expect(abs(x - y) < 2e-4 * max(1, abs(y)), "\(a.name): \(x) \(y)")
            }
        }
    }

    @Test func recalibrationIsTheMeanOfTheBatches() throws {
        let random = RandomSource(seed: 5)
        let split = try TinyNetwork.splits(24).weights
        let network = try TinyNetwork.graph(batch: 6)
        let store = ParameterStore()
        try store.prepare(for: network, random: random)
        let found = try Evaluator(backend: Self.executor()).recalibrated(
            network.calibrationForm(), store: store, on: split, batches: 3, random: random)
        let form = try network.calibrationForm()
        let loader = try BatchLoader(split, batchSize: 6, random: random.fork("recalibration"))
        var sums = form.outputs.dropFirst().map { [Double](repeating: 0, count: form.type(of: $0).count) }
        let values = Dictionary(
            uniqueKeysWithValues: store.tensors.map { ($0.name, ReferenceTensor<Double>($0.literal)) })
        for step in 0..<3 {
            let images = ReferenceTensor<Double>(.f32, [6, 1, 6, 6], loader.batch(step).images.map(Double.init))
            for (i, tensor) in try Interpreter.run(form, inputs: [images], parameters: values).dropFirst().enumerated()
            {
                for (c, x) in tensor.reals.enumerated() { sums[i][c] += x / 3 }
            }
        }
        #expect(found.tensors.map(\.name) == Array(form.outputNames.dropFirst()))
        for (tensor, sum) in zip(found.tensors, sums) {
            for (a, b) in zip(tensor.literal.reals, sum) { #expect(abs(a - b) < 1e-5 * max(1, abs(b))) }
        }
    }

    @Test func parametersOffThePathStayBitIdentical() throws {
        let onlyA = NetworkSource.sampled { _, _ in try TinyNetwork.graph(batch: 6, branch: "a").trainingForm() }
        let trainer = try Self.trainer(8, source: onlyA)
        let other = try TinyNetwork.graph(batch: 6, branch: "b")
        try trainer.store.prepare(for: other, random: RandomSource(seed: 9))
        let names = ["b.filter", "b.norm.scale", "b.norm.bias"]
        let before = names.map { trainer.store[$0]?.literal }
        try trainer.run()
        #expect(names.map { trainer.store[$0]?.literal } == before)
        #expect(names.allSatisfy { trainer.store[$0]?.updates == 0 })
        #expect(trainer.store["a.filter"]?.updates == 8)
        #expect(trainer.store["stem.filter"]?.updates == 8)
    }

    @Test(arguments: [1, 4, 5, 9], [false, true])
    func resumesBitIdenticallyAfterACut(_ cut: Int, _ sampled: Bool) throws {
        let source = { sampled ? Self.alternating : nil }
        let unbroken = try Self.trainer(10, source: source())
        try unbroken.run()
        let folder = try TemporaryFolder()
        // Cut without a word, as by SIGKILL: whatever the last checkpoint missed is done again.
        let broken = try Self.trainer(10, source: source(), folder: folder.url, interval: 3)
        struct Cut: Error {}
        for _ in 0..<cut {
            try broken.advance()
            if broken.step % 3 == 0 { try broken.checkpoints?.store.save(broken.checkpoint()) }
        }
        let resumed = try Self.trainer(10, source: source(), folder: folder.url, interval: 3)
        let found = try resumed.resume()
        #expect(found?.checkpoint.step == (cut < 3 ? nil : cut / 3 * 3))
        try resumed.run()
        #expect(Self.state(resumed) == Self.state(unbroken))
        #expect(resumed.checkpoints?.store.steps() == [10, 9])
    }

    @Test func cancellationWritesACheckpointAndSaysHowToResume() throws {
        let folder = try TemporaryFolder()
        let unbroken = try Self.trainer(7)
        try unbroken.run()
        let trainer = try Self.trainer(7, folder: folder.url, interval: 100)
        let cancellation = Cancellation()
        trainer.cancellation = cancellation
        trainer.documents = { ["search": Array("{}".utf8)] }
        trainer.onProgress = { if $0.step == 3 { cancellation.request() } }
        let error = #expect(throws: TrainingError.self) { try trainer.run() }
        #expect(error?.code == .cancelled)
        #expect(
            error?.message
                == "stopped after step 3; checkpoint \(folder.path("step-0000000003")). Run the same again to resume.")
        let resumed = try Self.trainer(7, folder: folder.url, interval: 100)
        #expect(try resumed.resume()?.checkpoint.documents["search"] == Array("{}".utf8))
        try resumed.run()
        #expect(Self.state(resumed) == Self.state(unbroken))
    }

    @Test func anotherRunsCheckpointIsRefused() throws {
        let folder = try TemporaryFolder()
        let first = try Self.trainer(3, folder: folder.url)
        try first.run()
        let error = #expect(throws: TrainingError.self) { try Self.trainer(4, seed: 8, folder: folder.url).resume() }
        #expect(
            error?.message
                == "the checkpoint of step 3 is of a run with another configuration and seed. Resume with the same "
                + "settings, or start anew in another folder.")
    }

    @Test func nonFiniteLossNamesStepOperatorAndCheckpoint() throws {
        let folder = try TemporaryFolder()
        let trainer = try Self.trainer(9, folder: folder.url, interval: 2)
        for _ in 0..<2 { try trainer.advance() }
        trainer.store["a.filter"]?.values[0] = 3e38
        trainer.store["a.filter"]?.values[9] = 3e38
        let before = Self.state(trainer)
        let error = #expect(throws: TrainingError.self) { try trainer.run() }
        #expect(error?.code == .nonFinite)
        // Whether the loss or only its gradient shows it is the kernels' affair: a rectifier may turn NaN into 0.
        let message = error?.message ?? ""
        #expect(message.hasPrefix("step 2: the loss is not") || message.hasPrefix("step 2: the gradient is not"))
        #expect(
            message.hasSuffix(
                " a finite number, first in conv2d \"a\"; no checkpoint was written. No parameter was changed by this "
                    + "step. Lower the learning rate, or clip the gradients."))
        #expect(Self.state(trainer) == before)

        trainer.store["a.filter"]?.values[9] = .nan
        let parameter = #expect(throws: TrainingError.self) { try trainer.run() }
        #expect(parameter?.message.contains("first in parameter \"a.filter\"") == true)
    }

    @Test func networkOfAnotherSizeIsRefused() throws {
        let error = #expect(throws: ShapeError.self) {
            try Self.trainer(1, source: .fixed(TinyNetwork.graph(batch: 5).trainingForm())).run()
        }
        #expect(
            error?.description
                == "images: the network expects f32[5,1,6,6]; the batch holds images f32[6, 1, 6, 6] and "
                + "targets f32[6, 3]")
    }
}
