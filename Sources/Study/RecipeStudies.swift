import Foundation
import IR
import Search
import Spaces
import Training

// Differentiable searches beside random selection and beside themselves without their own mechanism.
//
//   Study planted OUT [SEEDS] [STEPS]                     a planted architecture is to be found again
//   Study cells OUT TABLE.csv CIFAR_FOLDER [SEEDS] [STEPS] cells of NAS-Bench-201, judged by the published table
//   Study picks OUT docs/micro-125.jsonl [SEEDS] [STEPS]   cells of the small benchmark, judged by its table

/// Writes lines to standard output and to a file, so that a study that is stopped leaves what it has.
struct StudyLog {
    let file: String

    init(_ file: String) throws {
        self.file = file
        try "".write(toFile: file, atomically: true, encoding: .utf8)
    }

    func line(_ text: String) throws {
        print(text)
        let handle = try FileHandle(forWritingTo: URL(filePath: file))
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Data((text + "\n").utf8))
    }
}

/// `mean ± standard error`.
func summary(of values: [Double], _ places: Int) -> String {
    "\(digits(SampleStatistics.mean(values), places)) ± \(digits(SampleStatistics.standardError(values), places))"
}

/// A recipe under a name of its own, for tables.
struct Variant {
    var label: String
    var recipe: Recipe

    init(_ label: String, _ recipe: Recipe, _ change: (inout Recipe) -> Void = { _ in }) {
        self.label = label
        var changed = recipe
        change(&changed)
        // The spaces of the studies have no slots, and their searches no limit.
        changed.regularizers.removeAll { if case .duplicates = $0 { true } else { false } }
        changed.cost = nil
        self.recipe = changed
    }

    /// Every system, and each without its own mechanism.
    static let all = [
        Variant("darts1", .darts1), Variant("darts2", .darts2),
        Variant("idarts", .idarts),
        Variant("idarts, K = 0, T = 1", .idarts) {
            $0.estimator = .hypergradient(Hypergradient(terms: 0, mixedTerm: .finiteDifference(epsilon: 0.01)))
            $0.schedule = .alternating()
        },
        Variant("prime", .prime()), Variant("prime, ADMM", .prime(regularizer: .admm(0.1))),
        Variant("prime, no regulariser", .prime(regularizer: nil)),
        Variant("prime, fixed schedule", .prime(schedule: false)),
        Variant("prime, clamped", .prime(activation: true)),
        Variant("snas", .snas),
        Variant("snas, temperature fixed at 1", .snas) { $0.relaxation = .concrete(tau: .constant(1)) },
        Variant("unas", .unas), Variant("unas, relaxed sample alone", .unas) { $0.estimator = .score(.none) },
        Variant("unas, running baseline", .unas) { $0.estimator = .score(.movingAverage(decay: 0.95)) },
        Variant("proxyless", .proxyless),
    ]
}

/// A planted architecture over seeds: recovered choices and the gap between the chosen network and the mixture.
func plantedStudy(_ out: String, seeds: Int, steps: Int) throws {
    let log = try StudyLog(out)
    let space = try SearchSpace(yaml: PlantedTask.micro, file: "planted.yaml")
    try log.line("# A planted architecture, \(seeds) seeds, \(steps) weight steps of 64 images")
    try log.line("")
    try log.line(
        "| search | recovered, % | gap in loss | gap in accuracy, points | leaders' weight | entropy | skips, % | s a search |"
    )
    try log.line("|---|---|---|---|---|---|---|---|")
    var random = RandomSource(seed: 99), hits: [Double] = []
    let tasks = try (1...UInt64(seeds)).map { try PlantedTask(space, seed: $0) }
    for task in tasks {
        let picks = (0..<1000).map { _ in
            zip(space.alphabet, task.planted.choices).filter { random.integer(below: $0) == $1 }.count
        }
        hits.append(100 * Double(picks.reduce(0, +)) / Double(1000 * space.sites.count))
    }
    try log.line("| random selection | \(summary(of: hits, 1)) | | | | | | |")
    for variant in Variant.all {
        var recipe = variant.recipe
        // Searches of a few hundred steps: larger steps than the published ones, the same for all.
        if case .sgd = recipe.weights.optimizer { recipe.weights.rate = .cosine(from: 0.1, to: 0.001) }
        let results = try tasks.enumerated().map { [recipe] index, task in
            try task.search(recipe, steps: steps, seed: UInt64(index + 1))
        }
        func column(_ value: (PlantedTask.Result) -> Double, _ places: Int) -> String {
            summary(of: results.map(value), places)
        }
        let time = digits(SampleStatistics.mean(results.map(\.seconds)), 1)
        try log.line(
            "| \(variant.label) | \(column({ 100 * $0.recovered }, 1)) | \(column(\.gap, 3)) | \(column(\.accuracyGap, 1)) | "
                + "\(column(\.confidence, 2)) | \(column(\.entropy, 2)) | \(column({ 100 * $0.skipShare }, 0)) | \(time) |"
        )
    }
}

/// A table of published accuracies by the digits of a cell's operators.
struct CellTable {
    private var accuracies: [String: Double] = [:]
    private let sorted: [Double]

    /// - Parameter file: CSV with a header; `ops` and `c10_test` are read.
    init(_ file: String) throws {
        let text = try String(contentsOfFile: file, encoding: .utf8)
        let lines = text.split(separator: "\n")
        let header = (lines.first ?? "").split(separator: ",").map(String.init)
        guard let ops = header.firstIndex(of: "ops"), let accuracy = header.firstIndex(of: "c10_test") else {
            throw SearchError(.configuration, "\(file): expects a header with 'ops' and 'c10_test'. Is it unpacked?")
        }
        for line in lines.dropFirst() {
            let fields = line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            if fields.count > max(ops, accuracy) { accuracies[fields[ops]] = Double(fields[accuracy]) }
        }
        sorted = accuracies.values.sorted(by: >)
    }

    var mean: Double { SampleStatistics.mean(sorted) }
    var best: Double { sorted.first ?? 0 }
    var count: Int { sorted.count }

    func accuracy(_ architecture: Architecture) -> Double {
        accuracies[architecture.choices.map(String.init).joined()] ?? .nan
    }

    /// 1 for the best.
    func rank(_ architecture: Architecture) -> Int {
        let own = accuracy(architecture)
        return (sorted.firstIndex { $0 <= own } ?? sorted.count) + 1
    }
}

/// Small searches over the cells of NAS-Bench-201.
func cellStudy(_ out: String, table file: String, images folder: String, seeds: Int, steps: Int, only: [String]) throws
{
    let log = try StudyLog(out), table = try CellTable(file)
    let corpus = try KnownCorpus.cifar10.load(from: URL(filePath: folder, directoryHint: .isDirectory))
    let study = try RecipeStudy(
        SpaceLibrary().space("nas-bench-201-small"), corpus: corpus, images: 8000, threads: 1)
    let limit = table.mean
    try log.line("# Cells of NAS-Bench-201 found by small searches, judged by the published table (CIFAR-10, test)")
    try log.line("")
    try log.line(
        "\(seeds) seeds, \(steps) weight steps of 32 images at 16x16; \(table.count) cells, mean \(digits(limit, 2)) %, best \(digits(table.best, 2)) %."
    )
    try log.line("")
    try log.line("| search | seed | cell | accuracy, % | rank | skips over the search, % | s |")
    try log.line("|---|---|---|---|---|---|---|")
    var rows: [String] = []
    for variant in Variant.all where only.isEmpty || only.contains(variant.label) {
        var accuracies: [Double] = [], skips: [Double] = [], ranks: [Double] = []
        for seed in 1...UInt64(seeds) {
            let start = ContinuousClock().now
            let (found, seen) = try study.search(
                variant.recipe, steps: steps, batch: 32, every: max(1, steps / 6), seed: seed)
            let time = (ContinuousClock().now - start).components.seconds
            accuracies.append(table.accuracy(found))
            ranks.append(Double(table.rank(found)))
            skips.append(100 * (seen.last?.skipShare ?? 0))
            let course = seen.map { digits(100 * $0.skipShare, 0) }.joined(separator: " ")
            try log.line(
                "| \(variant.label) | \(seed) | `\(study.space.text(of: found))` | \(digits(table.accuracy(found), 2)) | \(table.rank(found)) | \(course) | \(time) |"
            )
        }
        rows.append(
            "| \(variant.label) | \(summary(of: accuracies, 2)) | \(summary(of: ranks, 0)) | \(summary(of: skips, 0)) |"
        )
    }
    try log.line("")
    try log.line("| search | accuracy, % | rank of \(table.count) | skips at the end, % |")
    try log.line("|---|---|---|---|")
    try log.line("| random selection | \(digits(limit, 2)) | \(table.count / 2) | 20 |")
    for row in rows { try log.line(row) }
}

/// Searches over the small benchmark, judged by its table.
func pickStudy(_ out: String, table file: String, seeds: Int, steps: Int) throws {
    let log = try StudyLog(out), table = try Table(file: file)
    let study = try RecipeStudy(
        SpaceLibrary().space("micro-125"), corpus: KnownCorpus.fashionMNIST.load(), images: 6000, threads: 1)
    var accuracies: [Architecture: [Double]] = [:]
    for row in table.rows { accuracies[row.architecture, default: []].append(100 * row.validation) }
    let truth = accuracies.mapValues { SampleStatistics.mean($0) }
    guard truth.count == Int(study.space.size) else {
        throw SearchError(.configuration, "\(file): is not whole; run 'Study table \(file)' first")
    }
    let order = truth.values.sorted(by: >)
    try log.line("# Cells of the 125-network benchmark found by differentiable searches")
    try log.line("")
    try log.line(
        "\(seeds) seeds, \(steps) weight steps of 64 images; validation accuracy of the table, two trainings a cell.")
    try log.line("")
    try log.line("| search | accuracy, % | rank of 125 | above random, standard errors |")
    try log.line("|---|---|---|---|")
    let mean = SampleStatistics.mean(order)
    try log.line("| random selection | \(digits(mean, 2)) | 63 | |")
    try log.line("| best of the table | \(digits(order[0], 2)) | 1 | |")
    for variant in Variant.all {
        let found = try (1...UInt64(seeds)).map { seed in
            try study.search(variant.recipe, steps: steps, batch: 64, every: steps, seed: seed).architecture
        }
        let scores = found.map { truth[$0] ?? 0 }
        let ranks = scores.map { score in Double((order.firstIndex { $0 <= score } ?? order.count) + 1) }
        let error = SampleStatistics.standardError(scores)
        let distance = error > 0 ? digits((SampleStatistics.mean(scores) - mean) / error, 1) : "-"
        try log.line("| \(variant.label) | \(summary(of: scores, 2)) | \(summary(of: ranks, 0)) | \(distance) |")
    }
}

/// Runs the study that the arguments name; `false` when they name none of these.
func runRecipeStudy(_ arguments: [String]) throws -> Bool {
    func number(_ index: Int, _ standard: Int) -> Int {
        arguments.count > index ? Int(arguments[index]) ?? standard : standard
    }
    switch arguments.count > 2 ? arguments[1] : "" {
    case "planted": try plantedStudy(arguments[2], seeds: number(3, 5), steps: number(4, 400))
    case "cells" where arguments.count > 4:
        try cellStudy(
            arguments[2], table: arguments[3], images: arguments[4], seeds: number(5, 5), steps: number(6, 1500),
            only: Array(arguments.dropFirst(7)))
    case "picks" where arguments.count > 3:
        try pickStudy(arguments[2], table: arguments[3], seeds: number(4, 5), steps: number(5, 400))
    default: return false
    }
    return true
}
