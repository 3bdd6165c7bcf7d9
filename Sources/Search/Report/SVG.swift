/// Text that is safe inside of XML and HTML.
func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
        switch character {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        default: result.append(character)
        }
    }
    return result
}

/// A drawing in the making: elements in order, with coordinates rounded to a tenth.
struct SVG {
    var width: Double
    var height: Double
    private var body: [String] = []

    init(width: Double, height: Double) { (self.width, self.height) = (width, height) }

    static func number(_ value: Double) -> String {
        let text = decimal(value, 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    mutating func add(_ element: String) { body.append(element) }

    mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) {
        let (a, b, c, d) = (Self.number(x1), Self.number(y1), Self.number(x2), Self.number(y2))
        add("<line x1=\"\(a)\" y1=\"\(b)\" x2=\"\(c)\" y2=\"\(d)\" class=\"\(style)\"/>")
    }

    mutating func rectangle(
        _ x: Double, _ y: Double, _ width: Double, _ height: Double, radius: Double = 0, _ style: String,
        title: String = ""
    ) {
        let (a, b, c, d) = (Self.number(x), Self.number(y), Self.number(max(width, 0)), Self.number(max(height, 0)))
        let hint = title.isEmpty ? "" : "<title>\(escaped(title))</title>"
        add(
            "<rect x=\"\(a)\" y=\"\(b)\" width=\"\(c)\" height=\"\(d)\" rx=\"\(Self.number(radius))\" \(style)>\(hint)</rect>"
        )
    }

    mutating func circle(_ x: Double, _ y: Double, _ radius: Double, _ style: String, title: String = "") {
        let hint = title.isEmpty ? "" : "<title>\(escaped(title))</title>"
        add(
            "<circle cx=\"\(Self.number(x))\" cy=\"\(Self.number(y))\" r=\"\(Self.number(radius))\" "
                + "class=\"\(style)\">\(hint)</circle>")
    }

    mutating func path(_ points: [(Double, Double)], _ style: String) {
        let text = points.enumerated().map { index, point in
            "\(index == 0 ? "M" : "L")\(Self.number(point.0)) \(Self.number(point.1))"
        }.joined(separator: " ")
        add("<path d=\"\(text)\" class=\"\(style)\"/>")
    }

    mutating func text(
        _ x: Double, _ y: Double, _ text: String, _ style: String = "label", anchor: String = "start",
        turned: Bool = false
    ) {
        let turn = turned ? " transform=\"rotate(-90 \(Self.number(x)) \(Self.number(y)))\"" : ""
        add(
            "<text x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" text-anchor=\"\(anchor)\" class=\"\(style)\"\(turn)>"
                + "\(escaped(text))</text>")
    }

    /// The drawing as an element of a page; `standalone` makes it a file with its own style.
    func rendered(label: String, standalone: Bool = false) -> String {
        let size = "viewBox=\"0 0 \(Self.number(width)) \(Self.number(height))\""
        let fixed = standalone ? " width=\"\(Self.number(width))\" height=\"\(Self.number(height))\"" : ""
        let style =
            standalone
            ? "<style>\(ReportStyle.light) \(ReportStyle.drawing)</style><rect width=\"100%\" height=\"100%\" class=\"paper\"/>"
            : ""
        return
            "<svg xmlns=\"http://www.w3.org/2000/svg\" \(size)\(fixed) role=\"img\" aria-label=\"\(escaped(label))\">"
            + style + body.joined(separator: "\n") + "</svg>"
    }
}

/// The looks of drawings and pages: one set of colours for light and one for dark screens.
enum ReportStyle {
    static let light = """
        :root { --paper: #ffffff; --card: #ffffff; --page: #f4f6f8; --ink: #18212b; --soft: #5d6b7a; --rule: #dde3e9; \
        --mark: #9fb0c0; --front: #2563eb; --good: #0f8a5f; --bad: #d6453d; --k1: #c9d4e0; --k3: #8ab6f2; --k5: #5b8def; \
        --k7: #3457b8; --skip: #e9edf1; --other: #d6c7ec; --on: #ffffff; }
        """
    static let dark = """
        @media (prefers-color-scheme: dark) { :root { --paper: #171d24; --card: #171d24; --page: #0f1318; --ink: #e6ebf1; \
        --soft: #93a1b0; --rule: #2b343e; --mark: #56677a; --front: #6ea1ff; --good: #39c08c; --bad: #ff7a70; --k1: #3a4757; \
        --k3: #38608f; --k5: #3d74c9; --k7: #6a8ff0; --skip: #222a33; --other: #56447a; --on: #ffffff; } }
        """
    static let drawing = """
        svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; } \
        .paper { fill: var(--paper); } .label { font-size: 11px; fill: var(--soft); } .strong { font-size: 12px; \
        fill: var(--ink); font-weight: 600; } .tiny { font-size: 10px; fill: var(--soft); } .block { font-size: 11px; \
        fill: var(--ink); } .inverse { font-size: 11px; fill: var(--on); } .grid { stroke: var(--rule); stroke-width: 1; } \
        .axis { stroke: var(--soft); stroke-width: 1; } .limit { stroke: var(--bad); stroke-width: 1.5; \
        stroke-dasharray: 5 4; } .limittext { font-size: 11px; fill: var(--bad); font-weight: 600; } \
        .dot { fill: var(--mark); fill-opacity: .55; } .over { fill: var(--bad); fill-opacity: .35; } \
        .finalist { fill: var(--front); } .winner { fill: var(--good); stroke: var(--paper); stroke-width: 2; } \
        .frontline { fill: none; stroke: var(--front); stroke-width: 1.75; stroke-linejoin: round; } \
        .secondline { fill: none; stroke: var(--good); stroke-width: 1.75; } \
        .thirdline { fill: none; stroke: var(--soft); stroke-width: 1.75; stroke-dasharray: 5 4; } \
        .diagonal { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; } \
        .wire { fill: none; stroke: var(--soft); stroke-width: 1.25; }
        """
}
