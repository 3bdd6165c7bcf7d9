import Execution
import Foundation
import IR
import Spaces
import Training

/// One cell of NAS-Bench-201 a stage, with a 3 x 3 convolution on every edge.
private let cells = """
    format: 1
    name: accuracy
    source: Dong and Yang, NAS-Bench-201, ICLR 2020, section 2.1; the smaller network is our own
    input: [1, 28, 28]
    classes: 10
    activation: none
    cells:
      cell: {nodes: 4, operators: [nor_conv_3x3, skip_connect]}
    stem:
      - conv: {kernel: 3, width: 16}
    stages:
      - {width: 16, cell: cell}
      - {width: 32, cell: cell, stride: 2, reduction: residual}
      - {width: 64, cell: cell, stride: 2, reduction: residual}
    head:
      - batch_norm: {activation: relu}
      - global_average_pool
      - linear
    """

/// Trains one network from several seeds in both precisions, and compares the accuracies on the test images. Both precisions
/// of a seed have the same initial weights and batches, and are judged in f32.
func compareAccuracy(_ options: BenchmarkOptions) throws {
    let space = try SearchSpace(yaml: cells, file: "accuracy"), corpus = try KnownCorpus.fashionMNIST.load()
    let pool = try ThreadPool(threads: options.threads)
    var differences: [Double] = [], accuracies: [ExecutionSettings.Precision: [Double]] = [:]
    for seed in options.firstSeed..<options.firstSeed + options.seeds {
        for precision in ExecutionSettings.Precision.allCases {
            let start = ContinuousClock().now
            let random = RandomSource(seed: UInt64(seed))
            let splits = try DataSplits(corpus, weights: options.images, random: random.fork("data"))
            let found = try accuracy(space, splits, precision, pool, random, options)
            accuracies[precision, default: []].append(found)
            printLine([
                ("seed", "\(seed)"), ("precision", "\"\(precision.rawValue)\""), ("accuracy", digits(found)),
                ("seconds", digits((ContinuousClock().now - start) / .seconds(1), 1)),
            ])
        }
        differences.append((accuracies[.bf16]?.last ?? 0) - (accuracies[.f32]?.last ?? 0))
    }
    var fields = [("seeds", "\(options.seeds)"), ("images", "\(options.images)"), ("epochs", "\(options.epochs)")]
    for precision in ExecutionSettings.Precision.allCases {
        let spread = spread(accuracies[precision] ?? [])
        fields += [
            (precision.rawValue, digits(spread.mean)), (precision.rawValue + "_standard_error", digits(spread.error)),
        ]
    }
    let spread = spread(differences)
    printLine(fields + [("difference", digits(spread.mean)), ("difference_standard_error", digits(spread.error))])
}

private func accuracy(
    _ space: SearchSpace, _ splits: DataSplits, _ precision: ExecutionSettings.Precision, _ pool: ThreadPool,
    _ random: RandomSource, _ options: BenchmarkOptions
) throws -> Double {
    let supernet = Supernet(space), batch = 64, store = ParameterStore()
    let network = Architecture(choices: space.alphabet.map { _ in 0 })
    let trainer = try Trainer(
        .fixed(supernet.build(network, batch: batch, .training(softTargets: true)).graph), store: store,
        loader: BatchLoader(splits.weights, batchSize: batch, random: random.fork("batches")),
        configuration: TrainingConfiguration(
            steps: options.epochs * options.images / batch, optimizer: SGD(weightDecay: 5e-4),
            rate: .warmUp(steps: 40, then: .cosine(from: 0.1)), clip: 5, statisticsMomentum: nil),
        backend: .executor(pool: pool, ExecutionSettings(precision: precision)), random: random.fork("training"))
    try trainer.run()
    let evaluator = Evaluator(backend: .executor(pool: pool))
    let statistics = try evaluator.recalibrated(
        supernet.build(network, batch: 500, .calibration).graph, store: store, on: splits.weights,
        batches: min(20, options.images / 500), random: random.fork("statistics"))
    return try evaluator.evaluate(
        supernet.build(network, batch: 200, .inference).graph, store: store, statistics: statistics, on: splits.test
    ).accuracy
}

/// Mean and its standard error.
private func spread(_ values: [Double]) -> (mean: Double, error: Double) {
    let n = Double(values.count), mean = values.reduce(0, +) / n
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (mean, n > 1 ? (squares / (n - 1) / n).squareRoot() : 0)
}
