import Foundation
import Hardware
import IR
import Search
import Spaces
import Training

// The slower checks of single-path search on the 125-network benchmark. Called by `make study`.
//
//   Study table FILE [THREADS]       trains every network twice; rows that the file has are kept
//   Study ranking FILE [THREADS]     trains supernets and compares them with the table

func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
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

    /// Validation accuracies of one seed.
    func accuracies(seed: UInt64) -> [Architecture: Double] {
        Dictionary(rows.filter { $0.seed == seed }.map { ($0.architecture, $0.validation) }) { first, _ in first }
    }
}

func makeTable(_ benchmark: MicroBenchmark, _ file: String) throws {
    var table = try Table(file: file)
    for seed in [1, 2] as [UInt64] {
        for architecture in benchmark.architectures
        where !table.rows.contains(where: { $0.architecture == architecture && $0.seed == seed }) {
            let row = try benchmark.train(architecture, seed: seed)
            table.rows.append(row)
            try table.write(to: file)
            say(
                "\(table.rows.count)/250 \(row.text) seed \(seed): validation \(digits(row.validation)), \(digits(row.seconds, 1)) s"
            )
        }
    }
}

func ranking(_ benchmark: MicroBenchmark, _ file: String, supernets: Int) throws {
    let table = try Table(file: file)
    let all = benchmark.architectures
    let (first, second) = (table.accuracies(seed: 1), table.accuracies(seed: 2))
    guard all.allSatisfy({ first[$0] != nil && second[$0] != nil }) else {
        throw SearchError(.configuration, "\(file): is not whole; run 'Study table \(file)' first")
    }
    let truth = all.map { ((first[$0] ?? 0) + (second[$0] ?? 0)) / 2 }
    let ceiling = KendallTau.b(all.map { first[$0] ?? 0 }, all.map { second[$0] ?? 0 })
    print("seed-to-seed Kendall tau of the table (validation accuracy): \(digits(ceiling))")
    let untrained = try (0..<3).map { seed in
        let store = ParameterStore()
        let random = RandomSource(seed: UInt64(100 + seed))
        for architecture in all {
            try store.prepare(
                for: Supernet(benchmark.space).build(architecture, batch: 1, .calibration).graph, random: random)
        }
        return KendallTau.b(try all.map { try benchmark.inherited(store, $0) }, truth)
    }
    print("untrained supernets, tau: \(untrained.map { digits($0) }.joined(separator: " "))")

    // The cap on multiply-accumulates for the search: the 60th percentile.
    let cap = SampleStatistics.quantile(all.map { benchmark.macs($0) }, 0.6)
    let legal = all.indices.filter { benchmark.macs(all[$0]) <= cap }
    let order = legal.sorted { truth[$0] > truth[$1] }
    var taus: [Double] = [], ranks: [Double] = []
    for seed in 1...UInt64(supernets) {
        let store = try benchmark.trainSupernet(budget: 30, seed: seed)
        let scores = try all.map { try benchmark.inherited(store, $0) }
        taus.append(KendallTau.b(scores, truth))
        if seed == 1 {
            var random = RandomSource(seed: 7)
            let sample = (0..<30).map { _ in random.element(of: Array(all.indices)) }
            let shared = try sample.map { try benchmark.inheritedWithSharedStatistics(store, all[$0]) }
            let batch = try sample.map { try benchmark.inheritedByBatch(store, all[$0]) }
            let recalibrated = sample.map { scores[$0] }
            func mean(_ a: [Double], minus b: [Double]) -> Double {
                100 * (SampleStatistics.mean(a) - SampleStatistics.mean(b))
            }
            print(
                "recalibrated minus shared statistics, 30 paths: \(digits(mean(recalibrated, minus: shared), 2)) points"
            )
            print(
                "batch statistics minus recalibrated, 30 paths: \(digits(mean(batch, minus: recalibrated), 2)) points")
        }
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
        print(
            "supernet \(seed): tau \(digits(taus[taus.count - 1])), pick \(benchmark.space.text(of: all[found])) at the top \(digits(100 * rank, 1)) % of \(order.count) legal cells"
        )
    }
    print(
        "tau over \(supernets) supernets: mean \(digits(SampleStatistics.mean(taus))), standard error \(digits(SampleStatistics.standardError(taus)))"
    )
    print("picks in the top 15 %: \(ranks.filter { $0 <= 0.15 }.count) of \(supernets)")
}

let arguments = CommandLine.arguments
guard arguments.count >= 3, ["table", "ranking"].contains(arguments[1]) else {
    say("usage: Study table|ranking FILE [THREADS] [SUPERNETS]")
    exit(64)
}
do {
    let benchmark = try MicroBenchmark(
        corpus: KnownCorpus.fashionMNIST.load(), threads: arguments.count > 3 ? Int(arguments[3]) ?? 2 : 2)
    if arguments[1] == "table" {
        try makeTable(benchmark, arguments[2])
    } else {
        try ranking(benchmark, arguments[2], supernets: arguments.count > 4 ? Int(arguments[4]) ?? 10 : 10)
    }
} catch {
    say("study: \(error)")
    exit(1)
}
