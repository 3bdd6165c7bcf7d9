import Execution
import Foundation
import IR
import Passes
import Search
import Spaces
import Testing
import Training

/// What single-path training promises, on the spaces that are searched.
@Suite struct SinglePathTests {
    /// A hundred steps on one path, with decay and momentum: every other parameter of the space keeps its initial bits,
    /// its momentum too, also those that took part before.
    @Test(arguments: ["micro-125", "mbconv-28", "nas-bench-201"])
    func parametersOffTheFixedPathStayBitIdentical(name: String) throws {
        let space = try SpaceLibrary().space(name), supernet = Supernet(space)
        let fixed = Architecture(choices: space.alphabet.map { $0 - 1 })
        let store = ParameterStore()
        let images = try patterns(space.input, 24).weights
        // Other paths are trained first, so that there is momentum which must not be touched.
        try train(store, images, steps: 3) { random in
            try supernet.build(UniformSampler(alphabet: space.alphabet).sample(using: &random), batch: 4, Self.form)
                .graph
        }
        for site in space.alphabet.indices {
            for choice in 0..<space.alphabet[site] {
                var path = fixed
                path.choices[site] = choice
                let graph = try supernet.build(path, batch: 4, Self.form).graph
                try store.prepare(for: graph, random: RandomSource(seed: 2))
            }
        }
        let network = try supernet.build(fixed, batch: 4, Self.form).graph
        let onPath = Set(network.parameters.map(\.name))
        let before = store.tensors.map { (name: $0.name, value: $0.literal, updates: $0.updates) }
        let momenta = store.optimizerState(Self.optimizer)
        try train(store, images, steps: 100) { _ in network }

        var (untouched, updated) = (0, 0)
        for (tensor, old) in zip(store.tensors, before) where tensor.kind == .weight {
            if onPath.contains(tensor.name) {
                updated += tensor.updates == old.updates + 100 ? 1 : 0
            } else {
                #expect(tensor.literal == old.value && tensor.updates == old.updates, "\(tensor.name)")
                untouched += 1
            }
        }
        #expect(untouched > onPath.count / 4 && updated == onPath.count, "\(untouched), \(updated) of \(onPath.count)")
        let after = Dictionary(uniqueKeysWithValues: store.optimizerState(Self.optimizer).tensors.map { ($0.name, $0) })
        var kept = 0
        for momentum in momenta.tensors where !onPath.contains(String(momentum.name.prefix { $0 != "/" })) {
            #expect(after[momentum.name] == momentum)
            kept += 1
        }
        #expect(kept > 0)
    }

    /// Two paths through shared weights leave running averages that fit neither; a path's own statistics do, and agree
    /// with those of one large batch.
    @Test func recalibrationGivesAPathItsOwnStatistics() throws {
        let space = try SpaceLibrary().space("micro-125"), supernet = Supernet(space)
        let pool = try ThreadPool(threads: 2), backend = Backend.executor(pool: pool)
        let store = ParameterStore(), splits = try patterns(space.input, 600, validation: 200)
        let sampler = UniformSampler(alphabet: space.alphabet)
        try train(store, splits.weights, steps: 250, batch: 32, statistics: 0.1) { random in
            try supernet.build(sampler.sample(using: &random), batch: 32, Self.form).graph
        }
        let evaluator = Evaluator(backend: backend)
        var random = RandomSource(seed: 11)
        var (shared, own, batch): ([Double], [Double], [Double]) = ([], [], [])
        for _ in 0..<12 {
            let path = sampler.sample(using: &random)
            let calibration = try supernet.build(path, batch: 200, .calibration).graph
            let inference = try supernet.build(path, batch: 200, .inference).graph
            try store.prepare(for: calibration, random: random)
            try store.prepare(for: inference, random: random)
            let statistics = try evaluator.recalibrated(
                calibration, store: store, on: splits.weights, batches: 3, random: random)
            shared.append(try evaluator.evaluate(inference, store: store, on: splits.validation).accuracy)
            own.append(
                try evaluator.evaluate(inference, store: store, statistics: statistics, on: splits.validation).accuracy)
            batch.append(try evaluator.evaluate(calibration, store: store, on: splits.validation).accuracy)
        }
        let gain = SampleStatistics.mean(own) - SampleStatistics.mean(shared)
        #expect(gain > 0.05, "recalibrated \(own), shared \(shared)")
        #expect(abs(SampleStatistics.mean(batch) - SampleStatistics.mean(own)) < 0.03, "\(own), \(batch)")
    }

    /// Every choice of every site, over ten thousand paths of each space that is shipped.
    @Test(arguments: SpaceLibrary().names) func pathsAreUniformAtEverySite(name: String) throws {
        let space = try SpaceLibrary().space(name), sampler = UniformSampler(alphabet: space.alphabet)
        var random = RandomSource(seed: 42)
        var counts = space.alphabet.map { [Int](repeating: 0, count: $0) }
        for _ in 0..<10_000 {
            for (site, choice) in sampler.sample(using: &random).choices.enumerated() { counts[site][choice] += 1 }
        }
        // Of many sites in many spaces some are unlikely: the bound of one test is divided among them.
        let bound = 0.01 / Double(counts.count * SpaceLibrary().names.count)
        for (site, count) in counts.enumerated() {
            #expect(SampleStatistics.chiSquareTest(counts: count) > bound, "\(space.sites[site]): \(count)")
        }
    }

    private static let form = Supernet.Form.training(softTargets: true)
    private static let optimizer = SGD(momentum: 0.9, nesterov: true, weightDecay: 1e-2)

    private func train(
        _ store: ParameterStore, _ images: DataSplit<Split.Weights>, steps: Int, batch: Int = 4,
        statistics: Double? = nil, _ network: @escaping (inout RandomSource) throws -> Graph
    ) throws {
        let random = RandomSource(seed: 3)
        let trainer = try Trainer(
            .sampled { _, random in
                var random = random
                return try network(&random)
            }, store: store, loader: try BatchLoader(images, batchSize: batch, random: random),
            configuration: TrainingConfiguration(
                steps: steps, optimizer: Self.optimizer, rate: .cosine(from: 0.05), clip: 5,
                statisticsMomentum: statistics),
            backend: .executor(pool: try ThreadPool(threads: 2), effort: .quick), random: random)
        try trainer.run()
    }

    /// Images whose class is the place of a bright square, with noise.
    private func patterns(_ shape: SearchSpace.ImageShape, _ count: Int, validation: Int = 0) throws -> DataSplits {
        func images(_ count: Int, _ random: RandomSource) throws -> ImageSet {
            var random = random
            var pixels: [UInt8] = []
            for index in 0..<count {
                let (row, column) = (index % 10 / 4, index % 10 % 4)
                for y in 0..<shape.height {
                    for x in 0..<shape.width {
                        let isBright = y * 3 / shape.height == row && x * 4 / shape.width == column
                        for _ in 0..<shape.channels {
                            pixels.append(UInt8((isBright ? 130 : 40) + random.integer(below: 80)))
                        }
                    }
                }
            }
            return try ImageSet(
                name: "patterns", height: shape.height, width: shape.width, channels: shape.channels, pixels: pixels,
                labels: (0..<count).map { Int32($0 % 10) }, classNames: (0..<10).map(String.init))
        }
        let random = RandomSource(seed: 1)
        let corpus = try ImageCorpus(
            name: "patterns", training: images(count, random.fork("training")), test: images(10, random.fork("test")))
        return try DataSplits(corpus, validation: validation, random: random)
    }
}
