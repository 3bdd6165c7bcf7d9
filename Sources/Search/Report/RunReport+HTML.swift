extension RunReport {
    /// `report.html`: one file that needs nothing beside it.
    public var page: String {
        let title = "\(record.name): \(record.space) on \(record.target)"
        let sections = [
            section("Accuracy against latency", scatter(), scatterLegend, label: "accuracy against latency"),
            searchOverTime, network, latency, inferenceTime, time, finalists, details,
        ]
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(escaped(title))</title><style>\(ReportStyle.light) \(ReportStyle.dark) \(ReportStyle.drawing) \(Self.layout)</style></head>
            <body><main><header><p class="kicker">martlet \(escaped(record.algorithm)) · \(escaped(record.data))</p>
            <h1>\(escaped(record.space)) <span>for \(escaped(record.target))</span></h1><p class="status">\(status)</p></header>
            \(tiles)
            \(sections.compactMap { $0 }.joined(separator: "\n"))
            <footer>Run \(escaped(record.name)), seed \(record.seed). \(versions)</footer></main></body></html>

            """
    }

    private static let layout = """
        * { box-sizing: border-box; } body { margin: 0; background: var(--page); color: var(--ink); \
        font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; } \
        main { max-width: 960px; margin: 0 auto; padding: 36px 20px 60px; } h1 { font-size: 30px; line-height: 1.2; \
        margin: 2px 0 6px; letter-spacing: -.01em; } h1 span { color: var(--soft); font-weight: 400; } \
        h2 { font-size: 17px; margin: 0 0 12px; } .kicker { margin: 0; color: var(--soft); font-size: 13px; \
        text-transform: uppercase; letter-spacing: .08em; } .status { margin: 0 0 22px; color: var(--soft); } \
        section, .tile { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; } \
        section { padding: 20px 24px; margin: 16px 0; } svg { display: block; max-width: 100%; height: auto; } \
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; } \
        .tile { padding: 14px 18px; } .tile b { display: block; font-size: 25px; font-weight: 650; letter-spacing: -.01em; } \
        .tile span { color: var(--soft); font-size: 13px; } .tile.good b { color: var(--good); } .tile.bad b { color: var(--bad); } \
        .two { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 20px; } \
        .note { color: var(--soft); font-size: 13px; margin: 10px 0 0; } .key { display: inline-block; width: 10px; height: 10px; \
        border-radius: 50%; margin: 0 5px 0 14px; } .key:first-child { margin-left: 0; } \
        table { border-collapse: collapse; width: 100%; font-size: 13px; } th { text-align: left; color: var(--soft); \
        font-weight: 500; } td, th { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--rule); vertical-align: top; } \
        td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } \
        code, pre { font: 12px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; } \
        pre { background: var(--page); padding: 12px 14px; border-radius: 8px; white-space: pre-wrap; margin: 12px 0 0; } \
        .scroll { overflow-x: auto; } .scroll svg { max-width: none; } footer { color: var(--soft); font-size: 13px; margin-top: 24px; }
        """

    private var status: String {
        guard let winner = record.winner else { return escaped(record.status) }
        let kept = record.limits.allSatisfy { ($0.winner ?? .infinity) <= $0.limit }
        return "\(escaped(record.status)): \(decimal(100 * winner.testAccuracy, 2)) % on test images, "
            + "\(decimal(winner.latency, 3)) ms measured\(kept ? ", within every limit" : ", over a limit")."
    }

    private var tiles: String {
        guard let winner = record.winner else { return "" }
        var tiles = [tile(decimal(100 * winner.testAccuracy, 2) + " %", "test accuracy", "good")]
        for limit in record.limits {
            let found = limit.winner ?? .nan
            tiles.append(
                tile(
                    limit.unit.text(found),
                    "\(limit.name)\(limit.name == "flash" ? " (weights and code, compiled)" : ""), limit "
                        + limit.unit.text(limit.limit),
                    found <= limit.limit ? "good" : "bad"))
        }
        if !record.limits.contains(where: { $0.name == "latency" }) {
            tiles.append(tile(decimal(winner.latency, 3) + " ms", "latency, measured", ""))
        }
        tiles.append(tile(Constraint.Unit.macs.text(winner.macs), "multiply-accumulates", ""))
        tiles.append(tile(Constraint.Unit.count.text(winner.weights), "weights", ""))
        if let flash = winner.flash, !record.limits.contains(where: { $0.name == "flash" }) {
            tiles.append(tile(Constraint.Unit.bytes.text(flash), "flash: weights, constants and code, compiled", ""))
        }
        return "<div class=\"tiles\">\(tiles.joined())</div>"
    }

    private func tile(_ figure: String, _ text: String, _ style: String) -> String {
        "<div class=\"tile \(style)\"><b>\(escaped(figure))</b><span>\(escaped(text))</span></div>"
    }

    private func section(_ title: String, _ drawing: SVG, _ note: String, label: String) -> String {
        "<section><h2>\(escaped(title))</h2>\(drawing.rendered(label: label))<p class=\"note\">\(note)</p></section>"
    }

    private func key(_ colour: String, _ text: String) -> String {
        "<span class=\"key\" style=\"background:var(--\(colour))\"></span>\(escaped(text))"
    }

    private var scatterLegend: String {
        key("mark", "candidates, latency predicted") + key("front", "finalists, measured; line: Pareto front")
            + key("good", "winner, retrained, on test images")
    }

    private var network: String? {
        guard let sketch = record.sketch else { return nil }
        var parts =
            "<div class=\"scroll\">\(sketch.drawing().rendered(label: "the found network", standalone: false).replacing("<svg ", with: "<svg width=\"\(SVG.number(sketch.drawing().width))\" ", maxReplacements: 1))</div>"
        if let cell = sketch.cellDrawing() {
            parts += "<h2>The cell</h2>\(cell.rendered(label: "the cell"))"
        }
        let legend = key("k3", "3×3") + key("k5", "5×5") + key("k7", "7×7") + key("k1", "1×1") + key("other", "other")
        let text = record.winner.map { "<pre>\(escaped($0.text))</pre>" } ?? ""
        return
            "<section><h2>The found network</h2>\(parts)<p class=\"note\">\(legend). Height grows with cost; ×3 and ×6 are "
            + "expansions; dashed places are skipped.</p>\(text)</section>"
    }

    private var latency: String? {
        guard let prediction = prediction() else { return nil }
        var text = ""
        if let model = record.model {
            text =
                "Fitted to \(model.measured) candidates whose own generated C was compiled and timed. Held-out error "
                + "\(decimal(100 * model.heldOutError, 1)) %, rank correlation (Kendall) \(decimal(model.kendall, 2))."
        }
        let second =
            progress().map { "<div><h2>The search</h2>\($0.rendered(label: "accuracy over candidates"))</div>" } ?? ""
        return
            "<section><div class=\"two\"><div><h2>Latency model</h2>\(prediction.rendered(label: "predicted against measured latency"))"
            + "<p class=\"note\">\(text)</p></div>\(second)</div></section>"
    }

    private var inferenceTime: String? {
        guard let drawing = inference(), let steps = record.steps else { return nil }
        let total = steps.reduce(0) { $0 + $1.milliseconds }
        return section(
            "Where an inference's time goes", drawing,
            "The dearest of \(steps.count) steps of the winner's C, each timed in a build with hooks: "
                + "\(decimal(total, 3)) ms together.", label: "time by step")
    }

    private var time: String? {
        guard let timeline = timeline() else { return nil }
        let total = record.phases.reduce(0) { $0 + $1.seconds }
        return
            "<section><h2>Where the time went: \(duration(total))</h2>\(timeline.rendered(label: "time by phase"))</section>"
    }

    private var finalists: String? {
        let rows = trials.filter { $0.kind == .finalist }
        guard !rows.isEmpty else { return nil }
        let body = rows.map { trial in
            "<tr><td class=\"n\">\(decimal(100 * (trial.accuracy ?? 0), 2))</td>"
                + "<td class=\"n\">\(trial.predictedLatency.map { decimal($0, 3) } ?? "")</td>"
                + "<td class=\"n\">\(trial.measuredLatency.map { decimal($0, 3) } ?? "")</td><td><code>\(escaped(trial.text))</code></td></tr>"
        }
        return
            "<section><h2>Finalists</h2><table><tr><th class=\"n\">accuracy, %</th><th class=\"n\">predicted, ms</th>"
            + "<th class=\"n\">measured, ms</th><th>architecture</th></tr>\(body.joined())</table></section>"
    }

    private var details: String {
        let rows = record.settings.map { pair in
            "<tr><th>\(escaped(pair.first ?? ""))</th><td>\(escaped(pair.dropFirst().joined(separator: " ")))</td></tr>"
        }
        let how =
            record.howToRun.isEmpty
            ? ""
            : "<h2 style=\"margin-top:20px\">Running the C</h2><pre>\(escaped(record.howToRun.joined(separator: "\n")))</pre>"
        return "<section><h2>How it was found</h2><table>\(rows.joined())</table>\(how)</section>"
    }

    private var versions: String {
        escaped(record.versions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
    }
}
