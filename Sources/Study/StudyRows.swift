import Foundation
import Search

/// What one search of a study gave.
struct StudyRow: Codable {
    var search: String
    var seed: UInt64
    /// What every search of the study was run with; rows of other settings do not count.
    var settings: String
    var values: [String: Double]
    /// What it found, as text.
    var found: String
    /// The share of skips over the search.
    var skips: [Double]?
    /// Processor seconds, and the most memory that the process had taken until then.
    var seconds = 0.0
    var mebibytes = 0.0
}

/// The searches of a study: each is written when it is done, so that a study that is stopped goes on where it was.
struct StudyRows {
    private(set) var rows: [StudyRow] = []
    private let rowFile: String
    private let report: String
    private let settings: String

    /// - Parameter report: the file of the tables; the rows are beside it, as JSON lines.
    init(_ report: String, settings: String) throws {
        self.report = report
        self.settings = settings
        rowFile = URL(filePath: report).deletingPathExtension().path + ".jsonl"
        rows = try readRows(rowFile).filter { $0.settings == settings }
    }

    func of(_ search: String) -> [StudyRow] { rows.filter { $0.search == search } }

    func values(_ search: String, _ key: String) -> [Double] { of(search).compactMap { $0.values[key] } }

    /// Runs the searches that are missing, all of one seed before the next, and writes the tables after each.
    ///
    /// - Parameters:
    ///   - first: The first of the seeds.
    ///   - search: What a search gave, by its values and text.
    ///   - text: The tables of the rows that there are.
    mutating func fill(
        _ variants: [Variant], seeds: Int, first: UInt64 = 1,
        search: (Variant, UInt64) throws -> (values: [String: Double], found: String, skips: [Double]?),
        text: (StudyRows) -> String
    ) throws {
        for seed in (0..<max(0, seeds)).map({ first + UInt64($0) }) {
            for variant in variants where !rows.contains(where: { $0.search == variant.label && $0.seed == seed }) {
                let start = clock()
                let result = try search(variant, seed)
                var row = StudyRow(
                    search: variant.label, seed: seed, settings: settings, values: result.values, found: result.found,
                    skips: result.skips)
                row.seconds = (Double(clock() - start) / Double(CLOCKS_PER_SEC) * 10).rounded() / 10
                var usage = rusage()
                getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
                row.mebibytes = Double(usage.ru_maxrss / 1024)
                try append(row)
                say("\(row.search), seed \(seed): \(row.found), \(digits(row.seconds, 1)) s")
                try (text(self) + "\n" + cost).write(toFile: report, atomically: true, encoding: .utf8)
            }
        }
        try (text(self) + "\n" + cost).write(toFile: report, atomically: true, encoding: .utf8)
    }

    private mutating func append(_ row: StudyRow) throws {
        rows.append(row)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if !FileManager.default.fileExists(atPath: rowFile) {
            try "".write(toFile: rowFile, atomically: true, encoding: .utf8)
        }
        let handle = try FileHandle(forWritingTo: URL(filePath: rowFile))
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: encoder.encode(row) + Data("\n".utf8))
    }

    private var cost: String {
        let minutes = rows.reduce(0) { $0 + $1.seconds } / 60
        return
            "\(rows.count) searches on one thread: \(digits(minutes, 1)) processor minutes, \(digits(rows.map(\.mebibytes).max() ?? 0, 0)) MiB at most.\n"
    }
}

/// `mean ± standard error`.
func summary(of values: [Double], _ places: Int) -> String {
    guard !values.isEmpty else { return "" }
    return
        "\(digits(SampleStatistics.mean(values), places)) ± \(digits(SampleStatistics.standardError(values), places))"
}

/// How far a mean is above a reference, in its standard errors.
func distance(of values: [Double], from reference: Double) -> String {
    let error = SampleStatistics.standardError(values)
    guard values.count > 1, error > 0 else { return "" }
    return digits((SampleStatistics.mean(values) - reference) / error, 1)
}

/// A row of a Markdown table.
func cells(_ texts: [String]) -> String { "| " + texts.joined(separator: " | ") + " |\n" }
func header(_ texts: [String]) -> String { cells(texts) + "|" + texts.map { _ in "---|" }.joined() + "\n" }
