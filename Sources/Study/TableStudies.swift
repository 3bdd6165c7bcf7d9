import Foundation
import IR
import Search
import Spaces
import Training

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

/// Sizes of the searches of the study of cells.
struct CellSettings {
    var seeds = 5
    /// The first of the seeds.
    var first: UInt64 = 1
    var steps = 3000
    var batch = 32
    /// The side of the images.
    var side = 8
    /// Images that weights and architecture learn from, together.
    var images = 8000
    /// The architecture's learning rate over the published one, in all searches alike: what a run's own length would give
    /// makes the steps of those that move seldom larger.
    var acceleration = 20.0 / 3

    var text: String { "\(steps) steps of \(batch), \(images) images of \(side)x\(side)" }
}

extension CellSettings {
    /// Seeds, the first of them, steps, acceleration, side and number of images, in this order, from a place on.
    init(_ arguments: [String], from start: Int) {
        func argument(_ index: Int) -> String { arguments.dropFirst(start + index).first ?? "" }
        seeds = Int(argument(0)) ?? seeds
        first = UInt64(argument(1)) ?? first
        steps = Int(argument(2)) ?? steps
        acceleration = Double(argument(3)) ?? acceleration
        (side, images) = (Int(argument(4)) ?? side, Int(argument(5)) ?? images)
    }
}

/// Searches over the cells of NAS-Bench-201 on CIFAR-10.
func benchmarkCells(_ folder: String, _ settings: CellSettings) throws -> RecipeStudy {
    let corpus = try KnownCorpus.cifar10.load(from: URL(filePath: folder, directoryHint: .isDirectory))
    var space = try SpaceLibrary().space("nas-bench-201-small")
    (space.input.height, space.input.width) = (settings.side, settings.side)
    return try RecipeStudy(space, corpus: corpus, images: settings.images, threads: 1)
}

/// Small searches over the cells of NAS-Bench-201.
func cellStudy(
    _ out: String, table file: String, images folder: String, _ settings: CellSettings, only: [String]
) throws {
    let table = try CellTable(file), study = try benchmarkCells(folder, settings)
    let variants = try Variant.chosen(only, of: Variant.all + Variant.hypergradients, systemsOnly: true)
    let rate = settings.acceleration == CellSettings().acceleration ? "" : ", rate \(digits(settings.acceleration, 1))"
    var rows = try StudyRows(out, settings: settings.text + rate)
    try rows.fill(variants, seeds: settings.seeds, first: settings.first) { variant, seed in
        var recipe = variant.recipe
        recipe.architecture.acceleration = settings.acceleration
        let (found, seen) = try study.search(
            recipe, steps: settings.steps, batch: settings.batch, every: max(1, settings.steps / 8), seed: seed)
        let last = seen.last
        return (
            [
                "accuracy": table.accuracy(found), "rank": Double(table.rank(found)),
                "skips": 100 * (last?.skipShare ?? 0), "entropy": last?.entropy ?? 0,
                "gap": last?.discretizationGap ?? 0,
                "validation": 100 * (last?.validationAccuracy ?? 0),
            ], study.space.text(of: found), seen.map { (100 * $0.skipShare).rounded() }
        )
    } text: { rows in
        var text =
            "# Cells of NAS-Bench-201 found by small searches, judged by the published table (CIFAR-10, test)\n\n"
        text +=
            "\(settings.text) a search, architecture steps \(digits(settings.acceleration, 1)) times the published ones; \(table.count) cells, mean \(digits(table.mean, 2)) %, best \(digits(table.best, 2)) %.\n\n"
        text += header([
            "search", "accuracy, %", "above random, standard errors", "rank of \(table.count)", "skips at the end, %",
            "entropy", "gap in loss", "seeds", "s a search",
        ])
        text += cells(
            ["random selection", digits(table.mean, 2), "", "\(table.count / 2)", "20"] + Array(repeating: "", count: 4)
        )
        let present = variants.filter { !rows.of($0.label).isEmpty }
        for variant in present {
            func column(_ key: String, _ places: Int) -> String { summary(of: rows.values(variant.label, key), places) }
            text += cells([
                variant.label, column("accuracy", 2),
                distance(of: rows.values(variant.label, "accuracy"), from: table.mean), column("rank", 0),
                column("skips", 0), column("entropy", 2), column("gap", 2), "\(rows.of(variant.label).count)",
                digits(SampleStatistics.mean(rows.of(variant.label).map(\.seconds)), 0),
            ])
        }
        text += "\n" + header(["search", "seed", "cell", "accuracy, %", "rank", "skips over the search, %"])
        for variant in present {
            for row in rows.of(variant.label) {
                text += cells([
                    variant.label, "\(row.seed)", "`\(row.found)`", digits(row.values["accuracy"] ?? 0, 2),
                    digits(row.values["rank"] ?? 0, 0),
                    (row.skips ?? []).map { digits($0, 0) }.joined(separator: " "),
                ])
            }
        }
        return text
    }
}

/// Searches over the small benchmark, judged by its table.
func pickStudy(_ out: String, table file: String, seeds: Int, steps: Int, only: [String]) throws {
    let table = try Table(file: file)
    let study = try RecipeStudy(
        SpaceLibrary().space("micro-125"), corpus: KnownCorpus.fashionMNIST.load(), images: 6000, threads: 1)
    var accuracies: [Architecture: [Double]] = [:]
    for row in table.rows { accuracies[row.architecture, default: []].append(100 * row.validation) }
    let truth = accuracies.mapValues { SampleStatistics.mean($0) }
    guard truth.count == Int(study.space.size), table.accuracies(of: MicroBenchmark.all(study.space)).count > 1 else {
        throw SearchError(.configuration, "\(file): is not whole; run 'Study table \(file)' first")
    }
    let order = truth.values.sorted(by: >), mean = SampleStatistics.mean(order)
    // How sure the table is of itself: what the best of its first trainings scores in the others.
    let networks = MicroBenchmark.all(study.space), seedings = table.accuracies(of: networks)
    let favourite = seedings[0].indices.max { seedings[0][$0] < seedings[0][$1] } ?? 0
    let ceiling = 100 * SampleStatistics.mean(seedings.dropFirst().map { $0[favourite] })
    func accuracy(_ row: StudyRow) -> Double { (try? truth[study.space.architecture(row.found)]).flatMap { $0 } ?? 0 }
    let variants = try Variant.chosen(only, systemsOnly: true)
    var rows = try StudyRows(out, settings: "\(steps) steps")
    try rows.fill(variants, seeds: seeds) { variant, seed in
        var recipe = variant.recipe
        // The weights learn as fast as in the table's own trainings, which are as short.
        if case .sgd = recipe.weights.optimizer { recipe.weights.rate = .cosine(from: 0.1, to: 0.001) }
        let (found, seen) = try study.search(recipe, steps: steps, batch: 64, every: steps, seed: seed)
        return (
            ["skips": 100 * (seen.last?.skipShare ?? 0), "entropy": seen.last?.entropy ?? 0],
            study.space.text(of: found), nil
        )
    } text: { rows in
        var text =
            "# Cells of the 125-network benchmark found by differentiable searches\n\n\(steps) weight steps of 64 images; validation accuracy of the table, \(seedings.count) trainings a cell.\n\n"
        text += header([
            "search", "accuracy, %", "above random, standard errors", "rank of 125", "entropy", "seeds", "s a search",
        ])
        text += cells(["random selection", digits(mean, 2), "", "63", "", "", ""])
        text += cells(["best of the table", digits(order[0], 2), "", "1", "", "", ""])
        text += cells(["best of its first trainings, by the others", digits(ceiling, 2), "", "", "", "", ""])
        for variant in variants where !rows.of(variant.label).isEmpty {
            // By the table as it is now, however many trainings it had when the search ran.
            let scores = rows.of(variant.label).map(accuracy)
            let ranks = scores.map { score in Double((order.firstIndex { $0 <= score } ?? order.count) + 1) }
            text += cells([
                variant.label, summary(of: scores, 2), distance(of: scores, from: mean),
                summary(of: ranks, 0), summary(of: rows.values(variant.label, "entropy"), 2), "\(scores.count)",
                digits(SampleStatistics.mean(rows.of(variant.label).map(\.seconds)), 0),
            ])
        }
        text += "\n" + header(["search", "cells, seed by seed"])
        for variant in variants where !rows.of(variant.label).isEmpty {
            text += cells([variant.label, rows.of(variant.label).map { "`\($0.found)`" }.joined(separator: " ")])
        }
        return text
    }
}
