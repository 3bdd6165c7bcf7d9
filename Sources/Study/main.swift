import Foundation
import Hardware
import IR
import Search
import Spaces
import Training

// The slower checks of single-path search on the 125-network benchmark. Called by `make study`.
//
//   Study table FILE [THREADS] [SEEDS]                  trains every network by each seed; rows that the file has are kept
//   Study latency FILE                                  times the C of every network and adds that to its rows
//   Study ranking FILE [THREADS] [SUPERNETS] [BUDGET]   trains supernets for the steps of BUDGET single trainings and
//                                                       compares them with the table

func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
/// A line of the result, at once: a study takes long enough to be watched.
func report(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
func digits(_ value: Double, _ places: Int = 3) -> String { String(format: "%.\(places)f", value) }

struct Table {
    var rows: [MicroBenchmark.Row] = []

    init(file: String) throws {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return }
        // A row that was torn when a study was stopped is trained again.
        rows = text.split(separator: "\n").compactMap {
            try? JSONDecoder().decode(MicroBenchmark.Row.self, from: Data($0.utf8))
        }
    }

    func write(to file: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let lines = try rows.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }
        try lines.joined().write(toFile: file, atomically: true, encoding: .utf8)
    }

    /// Validation accuracies of given architectures by each seed that trained all of them.
    func accuracies(of architectures: [Architecture]) -> [[Double]] {
        Set(rows.map(\.seed)).sorted().compactMap { seed in
            let known = Dictionary(
                rows.filter { $0.seed == seed }.map { ($0.architecture, $0.validation) },
                uniquingKeysWith: { first, _ in first })
            let values = architectures.compactMap { known[$0] }
            return values.count == architectures.count ? values : nil
        }
    }
}

func makeTable(_ benchmark: MicroBenchmark, _ file: String, seeds: Int) throws {
    var table = try Table(file: file)
    for seed in 1...UInt64(seeds) {
        for architecture in benchmark.architectures
        where !table.rows.contains(where: { $0.architecture == architecture && $0.seed == seed }) {
            let row = try benchmark.train(architecture, seed: seed)
            table.rows.append(row)
            try table.write(to: file)
            say(
                "\(table.rows.count)/\(seeds * benchmark.architectures.count) \(row.text) seed \(seed): validation \(digits(row.validation)), \(digits(row.seconds, 1)) s"
            )
        }
    }
}

func addLatencies(_ benchmark: MicroBenchmark, _ file: String) throws {
    var table = try Table(file: file)
    let builds = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-study-builds").path
    let latencies = try benchmark.latencies(buildingIn: builds)
    for index in table.rows.indices { table.rows[index].latency = latencies[table.rows[index].architecture] }
    try table.write(to: file)
}

func summary(_ values: [Double], _ places: Int = 3) -> String {
    "mean \(digits(SampleStatistics.mean(values), places)), standard error "
        + digits(SampleStatistics.standardError(values), places)
}

func ranking(_ benchmark: MicroBenchmark, _ file: String, supernets: Int, budget: Int) throws {
    let start = ContinuousClock().now
    let table = try Table(file: file)
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

    var untrained: [Double] = []
    for seed in 1...UInt64(2 * supernets) {
        let store = ParameterStore()
        let random = RandomSource(seed: 100 + seed)
        for architecture in all {
            try store.prepare(
                for: Supernet(benchmark.space).build(architecture, batch: 1, .calibration).graph, random: random)
        }
        let scores = try all.map { try benchmark.inherited(store, $0) }
        untrained.append(taus(scores, truth).all)
    }
    report("tau of \(untrained.count) untrained supernets: \(summary(untrained))")

    // The cap on multiply-accumulates for the search: the 60th percentile.
    let cap = SampleStatistics.quantile(all.map { benchmark.macs($0) }, 0.6)
    let legal = all.indices.filter { benchmark.macs(all[$0]) <= cap }
    let order = legal.sorted { truth[$0] > truth[$1] }
    var trained: [Double] = [], ranks: [Double] = [], gains: [Double] = [], distances: [Double] = []
    for seed in 1...UInt64(supernets) {
        let store = try benchmark.trainSupernet(budget: budget, seed: seed)
        let scores = try all.map { try benchmark.inherited(store, $0) }
        let tau = taus(scores, truth)
        trained.append(tau.all)

        var random = RandomSource(seed: 7).fork(Int(seed))
        let sample = (0..<30).map { _ in random.element(of: Array(all.indices)) }
        let recalibrated = SampleStatistics.mean(sample.map { scores[$0] })
        let shared = SampleStatistics.mean(
            try sample.map { try benchmark.inheritedWithSharedStatistics(store, all[$0]) })
        let batch = SampleStatistics.mean(try sample.map { try benchmark.inheritedByBatch(store, all[$0]) })
        gains.append(100 * (recalibrated - shared))
        distances.append(100 * (batch - recalibrated))

        var settings = Evolution.Settings()
        (settings.population, settings.generations, settings.parents) = (10, 4, 4)
        (settings.mutants, settings.crossovers) = (5, 5)
        var evolution = Evolution(
            alphabet: benchmark.space.alphabet, settings: settings, random: RandomSource(seed: seed))
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
            supernet \(seed): \(text(tau)); 30 paths, recalibrated minus shared statistics \(digits(gains[gains.count - 1], 2)) \
            points, batch statistics minus recalibrated \(digits(distances[distances.count - 1], 2)); pick \
            \(benchmark.space.text(of: all[found])), accuracy \(digits(truth[found])), in the top \(digits(100 * rank, 1)) % of \
            \(order.count) legal networks
            """)
    }
    report("tau over \(supernets) supernets of \(budget) trainings: \(summary(trained))")
    report("recalibrated minus shared statistics, points: \(summary(gains, 2))")
    report("batch statistics minus recalibrated, points: \(summary(distances, 2))")
    report("picks in the top 15 %: \(ranks.filter { $0 <= 0.15 }.count) of \(supernets)")
    let accuracies = legal.map { truth[$0] }
    report(
        "accuracy of legal networks: best \(digits(accuracies.max() ?? 0)), mean (a random pick) \(digits(SampleStatistics.mean(accuracies)))"
    )
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let minutes = Double((ContinuousClock().now - start).components.seconds) / 60
    report("\(digits(minutes, 1)) minutes, \(usage.ru_maxrss / 1024) MiB at most")
}

let arguments = CommandLine.arguments
func number(_ index: Int, _ standard: Int) -> Int {
    arguments.indices.contains(index) ? Int(arguments[index]) ?? standard : standard
}
do {
    if try runRecipeStudy(arguments) { exit(0) }
} catch {
    say("study: \(error)")
    exit(1)
}
guard arguments.count >= 3, ["table", "latency", "ranking"].contains(arguments[1]) else {
    say("usage: Study table|latency|ranking FILE [THREADS] …, or Study planted|cells|picks …")
    exit(64)
}
do {
    let benchmark = try MicroBenchmark(corpus: KnownCorpus.fashionMNIST.load(), threads: number(3, 2))
    switch arguments[1] {
    case "table": try makeTable(benchmark, arguments[2], seeds: number(4, 2))
    case "latency": try addLatencies(benchmark, arguments[2])
    default: try ranking(benchmark, arguments[2], supernets: number(4, 10), budget: number(5, 30))
    }
} catch {
    say("study: \(error)")
    exit(1)
}
