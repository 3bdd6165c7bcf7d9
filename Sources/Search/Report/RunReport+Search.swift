/// How a differentiable search went, over its steps.
extension RunReport {
    private var observations: [Observation] { trials.compactMap(\.observation) }

    private func curve(
        _ title: String, _ series: [(style: String, values: [Double])], _ steps: [Double]
    ) -> SVG? {
        let values = series.flatMap(\.values)
        guard steps.count > 1, values.contains(where: \.isFinite) else { return nil }
        var plot = Plot(
            width: 420, height: 260, x: .init("weight steps", [0] + steps, count: 5), y: .init(title, values, count: 5))
        for (style, values) in series {
            let points = zip(steps, values).filter { $1.isFinite }
            plot.curve(points, style)
            for (step, value) in points {
                plot.dot(step, value, 2.4, "dot", title: "\(decimal(value, 3)) at \(Int(step))")
            }
        }
        return plot.svg
    }

    /// Drawings of entropy, leaders, losses, gap, skips and cost; `nil` where nothing was observed.
    var searchOverTime: String? {
        let seen = observations
        guard seen.count > 1 else { return nil }
        let steps = seen.map { Double($0.step) }
        let drawings: [(SVG?, String)] = [
            (
                curve(
                    "share of 1",
                    [
                        ("frontline", seen.map(\.entropy)), ("secondline", seen.map(\.confidence)),
                        ("thirdline", seen.map(\.skipShare)),
                    ],
                    steps),
                "Blue: entropy of the choices. Green: mean weight of the leading operators. Dashed: share of skips."
            ),
            (
                curve("validation loss", [("frontline", seen.map(\.validationLoss))], steps),
                "Of the mixture, on images that give no gradient."
            ),
            (
                curve("discretisation gap", [("frontline", seen.map(\.discretizationGap))], steps),
                "How much more the chosen network loses than the mixture, with the same weights."
            ),
            (
                curve("expected cost", [("frontline", seen.compactMap(\.expectedCost))], steps),
                "In units of the limit, or of the space's mean where there is none."
            ),
        ]
        let parts = drawings.compactMap { drawing, note in
            drawing.map { "<div>\($0.rendered(label: note))<p class=\"note\">\(note)</p></div>" }
        }
        let leaders = seen[seen.count - 1].leaders.map { leader in
            "<tr><td>\(leader.site)</td><td>\(leader.alternative)</td><td class=\"n\">\(decimal(leader.weight, 3))</td></tr>"
        }
        return
            "<section><h2>The search over time</h2><div class=\"two\">\(parts.joined())</div>"
            + "<details><summary>Leading operators at the end</summary><table>\(leaders.joined())</table></details></section>"
    }
}
