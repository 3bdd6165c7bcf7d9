import Foundation
import IR
import Search
import Spaces
import Testing

@Suite struct RunReportTests {
    @Test func theFrontHoldsTheBestOfEachLatency() throws {
        let report = try sample(space: "mbconv-28")
        let front = report.front
        #expect(front.count > 1)
        for (a, b) in zip(front, front.dropFirst()) {
            #expect((a.latency ?? 0) < (b.latency ?? 0) && (a.accuracy ?? 0) < (b.accuracy ?? 0))
        }
        let rows = report.table.split(separator: "\n")
        #expect(rows[0] == "accuracy,latency_ms,measured,architecture")
        #expect(rows.count == front.count + 1)
    }

    @Test(arguments: ["mbconv-28", "nas-bench-201", "mbconv-224"]) func thePageIsWholeAndNeedsNothingElse(space: String)
        throws
    {
        let report = try sample(space: space)
        let page = report.page
        #expect(page.contains("91.87 %"))
        #expect(page.contains("limit 0.250 ms"))
        #expect(page.contains("Held-out error 3.2 %"))
        #expect(page.contains("The found network"))
        for outside in ["src=", "<link", "<script", "url(", "@import"] { #expect(!page.contains(outside)) }
        #expect(page.components(separatedBy: "<svg ").count == page.components(separatedBy: "</svg>").count)
        // Everything that is drawn is XML that closes what it opens.
        let parser = XMLCheck()
        for part in page.components(separatedBy: "<svg ").dropFirst() {
            let drawing = "<svg " + (part.components(separatedBy: "</svg>").first ?? "") + "</svg>"
            #expect(parser.isBalanced(drawing))
            #expect(!drawing.contains("nan") && !drawing.contains("inf\""))
        }
        #expect(parser.isBalanced(report.drawing))
        // Written where a person can look at it when asked to.
        if let folder = ProcessInfo.processInfo.environment["MARTLET_REPORT_FOLDER"] {
            try page.write(toFile: "\(folder)/report-\(space).html", atomically: true, encoding: .utf8)
            try report.drawing.write(toFile: "\(folder)/pareto-\(space).svg", atomically: true, encoding: .utf8)
        }
    }

    @Test func textFromOutsideCannotBreakThePage() throws {
        var report = try sample(space: "mbconv-28")
        var record = report.record
        record.data = "<script>alert(1)</script>"
        report = RunReport(record, report.trials)
        #expect(!report.page.contains("<script>"))
    }

    @Test func aRunThatHasJustBegunHasAReport() throws {
        var record = try sample(space: "mbconv-28").record
        (record.winner, record.sketch, record.model, record.phases) = (nil, nil, nil, [])
        let page = RunReport(record, []).page
        #expect(page.contains("</html>") && !page.contains("Finalists"))
        let json = try JSONEncoder().encode(record)
        #expect(try JSONDecoder().decode(RunRecord.self, from: json).space == "mbconv-28")
    }

    /// A made-up run over real architectures.
    private func sample(space name: String) throws -> RunReport {
        let space = try SpaceLibrary().space(name)
        var random = RandomSource(seed: 2)
        var trials: [Trial] = []
        func add(_ kind: Trial.Kind, _ architecture: Architecture, measured: Bool) throws {
            let latency = 0.08 + 0.3 * random.uniform()
            let accuracy = 0.84 + 0.05 * latency / 0.38 + 0.012 * random.normal()
            trials.append(
                Trial(
                    index: trials.count, kind: kind, architecture: architecture, text: space.text(of: architecture),
                    accuracy: kind == .calibration ? nil : kind == .winner ? 0.9187 : accuracy,
                    predictedLatency: kind == .winner ? 0.231 : latency,
                    measuredLatency: measured
                        ? (kind == .winner ? 0.238 : latency * (1 + 0.03 * random.normal())) : nil,
                    seconds: Double(trials.count)))
        }
        let sampler = UniformSampler(alphabet: space.alphabet)
        for _ in 0..<40 { try add(.calibration, sampler.sample(using: &random), measured: true) }
        for _ in 0..<300 { try add(.candidate, sampler.sample(using: &random), measured: false) }
        for _ in 0..<5 { try add(.finalist, sampler.sample(using: &random), measured: true) }
        let winner = sampler.sample(using: &random)
        try add(.winner, winner, measured: true)
        let network = try Supernet.standalone(space).build(winner, batch: 1, .inference)
        var record = RunRecord(
            name: "fashion-1", status: "done", seed: 1, algorithm: "spos", space: name, data: "fashion-mnist",
            target: "host", versions: ["martlet": "0.1"],
            settings: [
                ["Supernet", "8 epochs of uniform paths, batch 128"], ["Evolution", "population 50, 20 generations"],
            ],
            limits: [
                .init(name: "latency", limit: 0.25, unit: .milliseconds, winner: 0.238),
                .init(name: "peak-memory", limit: 262_144, unit: .bytes, winner: 143_000),
            ])
        record.phases = [
            .init(name: "latency model", seconds: 31), .init(name: "supernet training", seconds: 151.5),
            .init(name: "evolution", seconds: 60), .init(name: "finalists", seconds: 8.2),
            .init(name: "retraining", seconds: 194), .init(name: "export and verification", seconds: 6.1),
        ]
        record.model = .init(heldOutError: 0.032, kendall: 0.94, measured: 40)
        record.winner = .init(
            architecture: winner, text: space.text(of: winner), testAccuracy: 0.9187, validationAccuracy: 0.921,
            latency: 0.238,
            latencySpread: 0.011, latencyP95: 0.249, macs: 4_310_000, weights: 81_240)
        record.sketch = NetworkSketch(space, winner, graph: network.graph)
        record.howToRun = ["cd runs/fashion-1/best/c && make && ./main"]
        return RunReport(record, trials)
    }
}

/// Counts tags: enough to find an element that is not closed.
private struct XMLCheck {
    func isBalanced(_ text: String) -> Bool {
        var open: [Substring] = []
        var rest = Substring(text)
        while let start = rest.firstIndex(of: "<"), let end = rest[start...].firstIndex(of: ">") {
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            if tag.hasSuffix("/") { continue }
            if tag.hasPrefix("/") {
                guard open.popLast() == tag.dropFirst() else { return false }
            } else {
                open.append(tag.prefix { $0 != " " })
            }
        }
        return open.isEmpty
    }
}
