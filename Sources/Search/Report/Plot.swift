import RealModule

/// The frame of a diagram: two linear axes with readable ticks.
struct Plot {
    let x: Axis
    let y: Axis
    var svg: SVG
    private let left = 58.0, right = 18.0, top = 16.0, bottom = 46.0

    struct Axis {
        var title: String
        var range: ClosedRange<Double>
        var ticks: [Double]
        var decimals: Int

        /// An axis over `values` with a margin, and about `count` ticks at 1, 2 or 5 times a power of ten.
        init(_ title: String, _ values: [Double], count: Int = 6) {
            self.title = title
            let finite = values.filter(\.isFinite)
            var (low, high) = (finite.min() ?? 0, finite.max() ?? 1)
            let margin = high > low ? (high - low) * 0.06 : max(abs(high) * 0.1, 1e-3)
            (low, high) = (low >= 0 ? max(0, low - margin) : low - margin, high + margin)
            let raw = (high - low) / Double(count)
            let magnitude = Double.pow(10, Double.log10(raw).rounded(.down))
            let step = ([1.0, 2, 5, 10].first { $0 * magnitude >= raw } ?? 10) * magnitude
            decimals = max(0, -Int(Double.log10(step).rounded(.down)))
            let first = Int((low / step).rounded(.up)), last = Int((high / step).rounded(.down))
            ticks = first <= last ? (first...last).map { Double($0) * step } : [low]
            range = low...high
        }

        func position(_ value: Double) -> Double { (value - range.lowerBound) / (range.upperBound - range.lowerBound) }
    }

    init(width: Double, height: Double, x: Axis, y: Axis) {
        (self.x, self.y) = (x, y)
        svg = SVG(width: width, height: height)
        for tick in y.ticks {
            let at = self.y(tick)
            svg.line(left, at, width - right, at, "grid")
            svg.text(left - 8, at + 4, decimal(tick, y.decimals), anchor: "end")
        }
        for tick in x.ticks {
            let at = self.x(tick)
            svg.line(at, top, at, height - bottom, "grid")
            svg.text(at, height - bottom + 17, decimal(tick, x.decimals), anchor: "middle")
        }
        svg.line(left, height - bottom, width - right, height - bottom, "axis")
        svg.line(left, top, left, height - bottom, "axis")
        svg.text((left + width - right) / 2, height - 8, x.title, anchor: "middle")
        svg.text(14, (top + height - bottom) / 2, y.title, anchor: "middle", turned: true)
    }

    func x(_ value: Double) -> Double { left + x.position(value) * (svg.width - left - right) }
    func y(_ value: Double) -> Double { svg.height - bottom - y.position(value) * (svg.height - top - bottom) }

    mutating func dot(_ a: Double, _ b: Double, _ radius: Double, _ style: String, title: String) {
        svg.circle(x(a), y(b), radius, style, title: title)
    }

    mutating func curve(_ points: [(Double, Double)], _ style: String) {
        svg.path(points.map { (x($0.0), y($0.1)) }, style)
    }

    /// A vertical line with a label, such as a limit.
    mutating func limit(_ value: Double, _ text: String) {
        guard x.range.contains(value) else { return }
        svg.line(x(value), top, x(value), svg.height - bottom, "limit")
        let inside = x(value) < svg.width - 150
        svg.text(x(value) + (inside ? 6 : -6), top + 12, text, "limittext", anchor: inside ? "start" : "end")
    }

    mutating func diagonal() {
        let low = max(x.range.lowerBound, y.range.lowerBound), high = min(x.range.upperBound, y.range.upperBound)
        if low < high { svg.line(x(low), y(low), x(high), y(high), "diagonal") }
    }
}
