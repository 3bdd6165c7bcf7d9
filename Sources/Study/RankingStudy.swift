import Foundation
import Hardware
import IR
import Search
import Spaces
import Training

/// What one trained supernet says of every network of the benchmark.
struct SupernetRow: Codable {
    var seed: UInt64
    /// Steps, in trainings of a single network.
    var budget: Int
    /// Accuracy with inherited weights and the network's own statistics, in the order of ``MicroBenchmark/architectures``.
    var inherited: [Double]
    /// Thirty drawn networks: their places in that order, and their accuracies by the shared running averages and by the
    /// statistics of large batches.
    var sample: [Int]
    var shared: [Double]
    var byBatch: [Double]
}

extension MicroBenchmark {
    func supernetRow(seed: UInt64, budget: Int) throws -> SupernetRow {
        let all = architectures, store = try trainSupernet(budget: budget, seed: seed)
        var random = RandomSource(seed: 7).fork(Int(seed))
        let sample = (0..<30).map { _ in random.element(of: Array(all.indices)) }
        return SupernetRow(
            seed: seed, budget: budget, inherited: try all.map { try inherited(store, $0) }, sample: sample,
            shared: try sample.map { try inheritedWithSharedStatistics(store, all[$0]) },
            byBatch: try sample.map { try inheritedByBatch(store, all[$0]) })
    }

    /// The row of a supernet that was never trained.
    func untrainedRow(seed: UInt64) throws -> SupernetRow {
        let store = ParameterStore(), random = RandomSource(seed: 100 + seed)
        for architecture in architectures {
            try store.prepare(for: Supernet(space).build(architecture, batch: 1, .calibration).graph, random: random)
        }
        return SupernetRow(
            seed: seed, budget: 0, inherited: try architectures.map { try inherited(store, $0) }, sample: [],
            shared: [],
            byBatch: [])
    }
}

/// Trains supernets, `count` of them for `budget` single trainings and twice as many for none; rows that the file has are
/// kept.
func makeSupernets(_ benchmark: MicroBenchmark, _ file: String, count: Int, budget: Int) throws {
    var rows: [SupernetRow] = try readRows(file)
    func add(_ seed: UInt64, _ budget: Int, _ make: () throws -> SupernetRow) throws {
        guard !rows.contains(where: { $0.seed == seed && $0.budget == budget }) else { return }
        rows.append(try make())
        try writeRows(rows, to: file)
        say(
            "supernet \(seed) of \(budget) trainings: mean accuracy \(digits(SampleStatistics.mean(rows[rows.count - 1].inherited)))"
        )
    }
    for seed in 1...UInt64(2 * count) { try add(seed, 0) { try benchmark.untrainedRow(seed: seed) } }
    for seed in 1...UInt64(count) { try add(seed, budget) { try benchmark.supernetRow(seed: seed, budget: budget) } }
}

func summary(_ values: [Double], _ places: Int = 3) -> String {
    "mean \(digits(SampleStatistics.mean(values), places)), standard error "
        + digits(SampleStatistics.standardError(values), places)
}

/// Compares supernets with the table, and searches them by evolution under a cap on multiply-accumulates.
func ranking(_ benchmark: MicroBenchmark, _ file: String, _ supernets: String) throws {
    let table = try Table(file: file)
    let rows: [SupernetRow] = try readRows(supernets)
    let all = benchmark.architectures
    let seeds = table.accuracies(of: all)
    guard seeds.count >= 2 else {
        throw SearchError(.configuration, "\(file): is not whole; run 'Study table \(file)' first")
    }
    let truth = all.indices.map { index in SampleStatistics.mean(seeds.map { $0[index] }) }
    // Cells without a path from input to output leave the classifier its bias: they stay at chance, whoever trains them.
    let learning = all.indices.filter { truth[$0] > 0.11 }
    func taus(_ a: [Double], _ b: [Double]) -> (all: Double, learning: Double) {
        (KendallTau.b(a, b), KendallTau.b(learning.map { a[$0] }, learning.map { b[$0] }))
    }
    func text(_ tau: (all: Double, learning: Double)) -> String {
        "tau \(digits(tau.all)) (\(digits(tau.learning)) over the \(learning.count) networks above chance)"
    }
    let pairs = seeds.indices.flatMap { a in seeds.indices[..<a].map { taus(seeds[a], seeds[$0]) } }
    let ceiling = (SampleStatistics.mean(pairs.map(\.all)), SampleStatistics.mean(pairs.map(\.learning)))
    report("the table of \(seeds.count) seeds, one seed against another: \(text(ceiling))")
    for (name, cost) in [
        ("multiply-accumulates", all.map { benchmark.macs($0) }),
        ("latency", all.map { architecture in table.rows.first { $0.architecture == architecture }?.latency ?? 0 }),
    ] { report("the table against \(name) alone: \(text(taus(cost, truth)))") }

    let untrained = rows.filter { $0.budget == 0 }.map { taus($0.inherited, truth).all }
    report("tau of \(untrained.count) untrained supernets: \(summary(untrained))")

    // The cap on multiply-accumulates for the search: the 60th percentile.
    let cap = SampleStatistics.quantile(all.map { benchmark.macs($0) }, 0.6)
    let legal = all.indices.filter { benchmark.macs(all[$0]) <= cap }
    let order = legal.sorted { truth[$0] > truth[$1] }
    var trained: [Double] = [], ranks: [Double] = [], gains: [Double] = [], distances: [Double] = []
    for row in rows where row.budget > 0 {
        let scores = row.inherited, tau = taus(scores, truth)
        trained.append(tau.all)
        let recalibrated = SampleStatistics.mean(row.sample.map { scores[$0] })
        gains.append(100 * (recalibrated - SampleStatistics.mean(row.shared)))
        distances.append(100 * (SampleStatistics.mean(row.byBatch) - recalibrated))

        // The published settings: their thousand evaluations are more than the space has legal networks.
        var evolution = Evolution(alphabet: benchmark.space.alphabet, random: RandomSource(seed: row.seed))
        let limit = Constraints([
            Constraint("macs", atMost: cap, .macs, price: 0) { [macs = benchmark.costTable] in macs[$0] ?? .infinity }
        ])
        while let candidate = try evolution.next(within: limit) {
            evolution.record(score: scores[all.firstIndex(of: candidate) ?? 0])
        }
        let found = all.firstIndex(of: evolution.best?.architecture ?? all[0]) ?? 0
        let rank = Double((order.firstIndex(of: found) ?? order.count) + 1) / Double(order.count)
        ranks.append(rank)
        report(
            """
            supernet \(row.seed) of \(row.budget) trainings: \(text(tau)); 30 paths, recalibrated minus shared statistics \(digits(gains[gains.count - 1], 2)) \
            points, batch statistics minus recalibrated \(digits(distances[distances.count - 1], 2)); pick \
            \(benchmark.space.text(of: all[found])), accuracy \(digits(truth[found])), in the top \(digits(100 * rank, 1)) % of \
            \(order.count) legal networks
            """)
    }
    report("tau over \(trained.count) supernets: \(summary(trained))")
    report("recalibrated minus shared statistics, points: \(summary(gains, 2))")
    report("batch statistics minus recalibrated, points: \(summary(distances, 2))")
    report("picks in the top 15 %: \(ranks.filter { $0 <= 0.15 }.count) of \(ranks.count)")
    let accuracies = legal.map { truth[$0] }
    report(
        "accuracy of legal networks: best \(digits(accuracies.max() ?? 0)), mean (a random pick) \(digits(SampleStatistics.mean(accuracies)))"
    )
}
