import Execution
import Foundation
import Hardware
import IR
import Passes
import Spaces
import Training

/// A benchmark small enough to train every network of it: the 125 cells of the space `micro-125` on 14x14 images.
///
/// 6,000 images train, 2,000 judge, the 10,000 test images report; 4 epochs, batch 64, SGD with Nesterov momentum, rate
/// 0.1 falling as a cosine, weight decay 5e-4. Every ranking claim is read beside the agreement of its seeds.
public final class MicroBenchmark {
    /// One training.
    public struct Row: Codable, Hashable, Sendable {
        public var architecture: Architecture
        public var text: String
        public var seed: UInt64
        public var validation: Double
        public var test: Double
        public var weights: Int
        public var macs: Int
        public var seconds: Double
        /// Milliseconds: the median of the network's own C on one thread of this machine.
        public var latency: Double?
    }

    public let space: SearchSpace
    public let splits: DataSplits
    public static let epochs = 4
    public static let batch = 64
    let backend: Backend
    private let costs: [Architecture: (weights: Int, macs: Int)]

    public init(corpus: ImageCorpus, threads: Int) throws {
        space = try SpaceLibrary().space("micro-125")
        let resized = corpus.resized(height: space.input.height, width: space.input.width)
        splits = try DataSplits(resized, weights: 6000, validation: 2000, random: RandomSource(seed: 1))
        backend = .executor(pool: try ThreadPool(threads: threads), effort: .quick)
        var costs: [Architecture: (weights: Int, macs: Int)] = [:]
        for architecture in Self.all(space) {
            let network = try Supernet.standalone(space).build(architecture, batch: 1, .inference)
            let weights = network.parameters.filter { $0.role == .weight }.reduce(0) { $0 + $1.shape.reduce(1, *) }
            costs[architecture] = (weights, try network.graph.nodes.reduce(0) { $0 + (try $1.macs(in: network.graph)) })
        }
        self.costs = costs
    }

    /// All architectures of a small space, the last site varying fastest.
    public static func all(_ space: SearchSpace) -> [Architecture] {
        space.alphabet.reduce([[]]) { prefixes, count in
            prefixes.flatMap { prefix in (0..<count).map { prefix + [$0] } }
        }
        .map(Architecture.init(choices:))
    }

    public var architectures: [Architecture] { Self.all(space) }

    /// Multiply-accumulates of every architecture.
    public var costTable: [Architecture: Double] { costs.mapValues { Double($0.macs) } }

    public func macs(_ architecture: Architecture) -> Double { Double(costs[architecture]?.macs ?? 0) }

    /// The median latency in milliseconds of each network's own C on one thread of this machine, timed in turns.
    ///
    /// - Parameter folder: Where builds are kept; a second call compiles nothing.
    public func latencies(buildingIn folder: String) throws -> [Architecture: Double] {
        let target = try TargetLibrary().target("host"), costs = CandidateCosts(space, target: target)
        let programs = try architectures.map { SourceProgram(try costs.program($0)) }
        let figures = try Profiler(builder: Builder(for: target, in: folder), plan: .quick).measure(
            programs, anew: true)
        return Dictionary(uniqueKeysWithValues: zip(architectures, figures.map(\.median)))
    }

    private var stepsPerTraining: Int { Self.epochs * (splits.weights.count / Self.batch) }

    /// Trains one architecture by itself.
    public func train(_ architecture: Architecture, seed: UInt64) throws -> Row {
        let start = ContinuousClock().now
        let network = Supernet.standalone(space), store = ParameterStore()
        let random = RandomSource(seed: seed).fork(space.text(of: architecture))
        let form = try network.build(architecture, batch: Self.batch, .training(softTargets: true)).graph
        try run(.fixed(form), store, steps: stepsPerTraining, random: random, momentum: nil)
        let judged = try judge(network, store, architecture, random: random)
        let test = try evaluate(network, store, architecture, judged.statistics, on: splits.test)
        let time = (ContinuousClock().now - start).components
        return Row(
            architecture: architecture, text: space.text(of: architecture), seed: seed, validation: judged.accuracy,
            test: test, weights: costs[architecture]?.weights ?? 0, macs: costs[architecture]?.macs ?? 0,
            seconds: Double(time.seconds) + Double(time.attoseconds) * 1e-18)
    }

    /// A supernet of uniform single paths with the budget of `budget` single trainings.
    public func trainSupernet(budget: Int, seed: UInt64) throws -> ParameterStore {
        let store = ParameterStore()
        let supernet = Supernet(space), sampler = UniformSampler(alphabet: space.alphabet)
        try run(
            .sampled { _, random in
                var random = random
                let path = sampler.sample(using: &random)
                return try supernet.build(path, batch: Self.batch, .training(softTargets: true)).graph
            }, store, steps: budget * stepsPerTraining, random: RandomSource(seed: seed).fork("supernet"), momentum: 0.1
        )
        return store
    }

    private func run(
        _ source: NetworkSource, _ store: ParameterStore, steps: Int, random: RandomSource, momentum: Double?
    ) throws {
        let loader = try BatchLoader(splits.weights, batchSize: Self.batch, random: random)
        let trainer = try Trainer(
            source, store: store, loader: loader,
            configuration: TrainingConfiguration(
                steps: steps, optimizer: SGD(momentum: 0.9, nesterov: true, weightDecay: 5e-4),
                rate: .cosine(from: 0.1), clip: 5,
                statisticsMomentum: momentum),
            backend: backend, random: random)
        try trainer.run()
    }

    /// Validation accuracy with inherited weights and statistics of the architecture's own.
    public func inherited(_ store: ParameterStore, _ architecture: Architecture) throws -> Double {
        try judge(Supernet(space), store, architecture, random: RandomSource(seed: 1)).accuracy
    }

    /// The same without recalibration: by the running averages that all paths share.
    public func inheritedWithSharedStatistics(_ store: ParameterStore, _ architecture: Architecture) throws -> Double {
        try evaluate(Supernet(space), store, architecture, SafeTensors(), on: splits.validation)
    }

    /// The same by the statistics of large validation batches.
    public func inheritedByBatch(_ store: ParameterStore, _ architecture: Architecture) throws -> Double {
        let form = try Supernet(space).build(architecture, batch: 1000, .calibration).graph
        return try Evaluator(backend: backend).evaluate(form, store: store, on: splits.validation).accuracy
    }

    private func judge(
        _ network: Supernet, _ store: ParameterStore, _ architecture: Architecture, random: RandomSource
    ) throws -> (accuracy: Double, statistics: SafeTensors) {
        let form = try network.build(architecture, batch: 500, .calibration).graph
        try store.prepare(for: form, random: random.fork("never trained"))
        let statistics = try Evaluator(backend: backend).recalibrated(
            form, store: store, on: splits.weights, batches: 8, random: random)
        return (try evaluate(network, store, architecture, statistics, on: splits.validation), statistics)
    }

    private func evaluate<Role: SplitRole>(
        _ network: Supernet, _ store: ParameterStore, _ architecture: Architecture, _ statistics: SafeTensors,
        on split: DataSplit<Role>
    ) throws -> Double {
        let form = try network.build(architecture, batch: 500, .inference).graph
        try store.prepare(for: form, random: RandomSource(seed: 1))
        return try Evaluator(backend: backend).evaluate(form, store: store, statistics: statistics, on: split).accuracy
    }
}
