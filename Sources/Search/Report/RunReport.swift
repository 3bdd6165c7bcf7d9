/// The drawings and tables of a run, from its record and its trials.
public struct RunReport: Sendable {
    public let record: RunRecord
    public let trials: [Trial]

    public init(_ record: RunRecord, _ trials: [Trial]) { (self.record, self.trials) = (record, trials) }

    /// The trials that nothing beats in both accuracy and latency, fastest first.
    public var front: [Trial] {
        let scored = trials.filter { $0.kind != .winner && $0.accuracy != nil && $0.latency != nil }
        let indices = paretoFront(scored.map { [$0.latency ?? 0, $0.accuracy ?? 0] }, [.minimize, .maximize])
        return indices.map { scored[$0] }
    }

    /// `pareto.csv`.
    public var table: String {
        var lines = ["accuracy,latency_ms,measured,architecture"]
        for trial in front {
            let text = trial.text.replacing("\"", with: "\"\"")
            lines.append("\(trial.accuracy ?? 0),\(trial.latency ?? 0),\(trial.measuredLatency != nil),\"\(text)\"")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// `pareto.svg`.
    public var drawing: String { scatter().rendered(label: "accuracy against latency", standalone: true) }

    private var latencyLimit: RunRecord.Limit? { record.limits.first { $0.name == "latency" } }

    /// Accuracy with inherited weights against latency; the winner, retrained, may lie above all others.
    func scatter() -> SVG {
        let shown = trials.filter { $0.accuracy != nil && $0.latency != nil }
        var latencies = shown.compactMap(\.latency)
        if let limit = latencyLimit?.limit { latencies.append(limit) }
        let accuracies = shown.compactMap(\.accuracy).map { $0 * 100 }
        var plot = Plot(
            width: 860, height: 430, x: .init("latency on \(record.target) (ms)", latencies),
            y: .init("accuracy (%)", accuracies))
        func title(_ trial: Trial) -> String {
            let kind = trial.measuredLatency == nil ? "predicted" : "measured"
            return
                "\(decimal(100 * (trial.accuracy ?? 0), 2)) %, \(decimal(trial.latency ?? 0, 3)) ms \(kind)\n\(trial.text)"
        }
        for trial in shown where trial.kind == .candidate || trial.kind == .calibration {
            plot.dot(trial.latency ?? 0, 100 * (trial.accuracy ?? 0), 3.2, "dot", title: title(trial))
        }
        plot.curve(front.map { ($0.latency ?? 0, 100 * ($0.accuracy ?? 0)) }, "frontline")
        for trial in shown where trial.kind == .finalist {
            plot.dot(trial.latency ?? 0, 100 * (trial.accuracy ?? 0), 5, "finalist", title: title(trial))
        }
        for trial in shown where trial.kind == .winner {
            plot.dot(trial.latency ?? 0, 100 * (trial.accuracy ?? 0), 8, "winner", title: title(trial))
        }
        if let limit = latencyLimit { plot.limit(limit.limit, "limit \(limit.unit.text(limit.limit))") }
        return plot.svg
    }

    /// Predicted against measured latency of everything that was measured.
    func prediction() -> SVG? {
        let pairs = trials.filter { $0.predictedLatency != nil && $0.measuredLatency != nil }
        guard pairs.count > 1 else { return nil }
        let all = pairs.compactMap(\.predictedLatency) + pairs.compactMap(\.measuredLatency)
        var plot = Plot(
            width: 420, height: 360, x: .init("measured (ms)", all, count: 5), y: .init("predicted (ms)", all, count: 5)
        )
        plot.diagonal()
        for trial in pairs {
            let style = trial.kind == .calibration ? "dot" : trial.kind == .winner ? "winner" : "finalist"
            plot.dot(
                trial.measuredLatency ?? 0, trial.predictedLatency ?? 0, trial.kind == .calibration ? 4 : 5.5, style,
                title:
                    "measured \(decimal(trial.measuredLatency ?? 0, 3)) ms, predicted \(decimal(trial.predictedLatency ?? 0, 3)) ms\n\(trial.text)"
            )
        }
        return plot.svg
    }

    /// How the best accuracy grew over the candidates.
    func progress() -> SVG? {
        let candidates = trials.filter { $0.kind == .candidate && $0.accuracy != nil }
        guard candidates.count > 1 else { return nil }
        let accuracies = candidates.map { 100 * ($0.accuracy ?? 0) }
        var plot = Plot(
            width: 420, height: 360, x: .init("candidates evaluated", [0, Double(candidates.count)], count: 5),
            y: .init("accuracy with shared weights (%)", accuracies, count: 5))
        var best = -Double.infinity
        var curve: [(Double, Double)] = []
        for (index, accuracy) in accuracies.enumerated() {
            plot.dot(Double(index + 1), accuracy, 2.6, "dot", title: candidates[index].text)
            best = max(best, accuracy)
            curve.append((Double(index + 1), best))
        }
        plot.curve(curve, "frontline")
        return plot.svg
    }

    /// Where an inference of the winner spends its time: a bar for each of the dearest steps, in order of execution.
    func inference() -> SVG? {
        guard let steps = record.steps else { return nil }
        let total = steps.reduce(0) { $0 + $1.milliseconds }
        guard total > 0 else { return nil }
        let least = steps.map(\.milliseconds).sorted(by: >).prefix(16).last ?? 0
        let shown = steps.filter { $0.milliseconds >= least }
        let longest = shown.map(\.milliseconds).max() ?? total, row = 22.0, width = 860.0
        var svg = SVG(width: width, height: row * Double(shown.count))
        for (index, step) in shown.enumerated() {
            let y = Double(index) * row, share = "\(decimal(100 * step.milliseconds / total, 1)) %"
            svg.rectangle(
                0, y + 3, max(step.milliseconds / longest * 300, 1), row - 6, radius: 3, "fill=\"var(--k5)\"",
                title: "\(step.name): \(decimal(step.milliseconds, 4)) ms")
            svg.text(310, y + 15, "\(share)  \(step.name)")
        }
        return svg
    }

    /// Where the time of the run went: one bar, a piece per phase.
    func timeline() -> SVG? {
        let total = record.phases.reduce(0) { $0 + $1.seconds }
        guard total > 0 else { return nil }
        let colours = ["k7", "k5", "k3", "front", "good", "other", "mark", "k1"]
        let width = 860.0, row = 24.0
        var svg = SVG(width: width, height: 40 + row * Double((record.phases.count + 1) / 2))
        var x = 0.0
        for (index, phase) in record.phases.enumerated() {
            let part = phase.seconds / total * width
            let fill = "fill=\"var(--\(colours[index % colours.count]))\""
            svg.rectangle(
                x, 0, max(part - 1.5, 0.5), 24, radius: 3, fill, title: "\(phase.name): \(duration(phase.seconds))")
            x += part
            let (column, line) = (Double(index % 2) * width / 2, Double(index / 2))
            svg.rectangle(column, 38 + line * row, 11, 11, radius: 2, fill)
            let share = decimal(100 * phase.seconds / total, 0)
            svg.text(column + 18, 48 + line * row, "\(phase.name): \(duration(phase.seconds)) (\(share) %)")
        }
        return svg
    }
}

/// `95 s` as `1 min 35 s`.
func duration(_ seconds: Double) -> String {
    if seconds < 10 { return decimal(seconds, 1) + " s" }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    return whole < 3600 ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole % 3600 / 60) min"
}
