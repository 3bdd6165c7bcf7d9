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
//   Study supernets FILE [THREADS] [COUNT] [BUDGET]     trains supernets for the steps of BUDGET single trainings, and
//                                                       judges every network by each; rows that the file has are kept
//   Study ranking TABLE SUPERNETS                       compares the two files

func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
/// A line of the result, at once: a study takes long enough to be watched.
func report(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
func digits(_ value: Double, _ places: Int = 3) -> String { String(format: "%.\(places)f", value) }

/// The rows of a file of JSON lines; none when there is no such file. A line that was torn when a study was stopped is
/// left out, so that it is made again.
func readRows<Row: Decodable>(_ file: String) throws -> [Row] {
    guard FileManager.default.fileExists(atPath: file) else { return [] }
    return try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").compactMap {
        try? JSONDecoder().decode(Row.self, from: Data($0.utf8))
    }
}

func writeRows(_ rows: [some Encodable], to file: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let lines = try rows.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }
    try lines.joined().write(toFile: file, atomically: true, encoding: .utf8)
}

struct Table {
    var rows: [MicroBenchmark.Row] = []

    init(file: String) throws { rows = try readRows(file) }

    /// Validation accuracies of one seed.
    func accuracies(seed: UInt64) -> [Architecture: Double] {
        Dictionary(rows.filter { $0.seed == seed }.map { ($0.architecture, $0.validation) }) { first, _ in first }
    }

    /// Validation accuracies of given architectures by each seed that trained all of them.
    func accuracies(of architectures: [Architecture]) -> [[Double]] {
        Set(rows.map(\.seed)).sorted().compactMap { seed in
            let known = accuracies(seed: seed), values = architectures.compactMap { known[$0] }
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
            try writeRows(table.rows, to: file)
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
    try writeRows(table.rows, to: file)
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
guard arguments.count >= 3, ["table", "latency", "supernets", "ranking"].contains(arguments[1]) else {
    say("usage: Study table|latency|supernets|ranking FILE …, or Study planted|cells|picks …")
    exit(64)
}
do {
    let benchmark = try MicroBenchmark(corpus: KnownCorpus.fashionMNIST.load(), threads: number(3, 2))
    switch arguments[1] {
    case "table": try makeTable(benchmark, arguments[2], seeds: number(4, 2))
    case "latency": try addLatencies(benchmark, arguments[2])
    case "supernets": try makeSupernets(benchmark, arguments[2], count: number(4, 10), budget: number(5, 30))
    default: try ranking(benchmark, arguments[2], arguments.count > 3 ? arguments[3] : "")
    }
} catch {
    say("study: \(error)")
    exit(1)
}
