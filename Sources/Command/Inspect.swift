import ArgumentParser
import CodeGeneration
import Foundation
import Hardware
import IR
import Passes

/// `martlet inspect`: what a network is made of.
struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints a network's graph, its cost, and its memory over time.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var target: TargetOption
    @Flag(help: "The graph as it was read, not as it is compiled.") var asWritten = false
    @Flag(help: "The figures alone.") var summary = false
    @Option(help: "Also draw the memory over time as SVG into this file.") var svg: String?
    @OptionGroup var result: ResultOptions

    private struct Figures: Encodable {
        var nodes, macs, parameters, parameterBytes, arenaBytes, leastArenaBytes, bestOrderBytes: Int
        /// Whether an order is known to reach ``bestOrderBytes``; otherwise none needs less.
        var bestOrderIsExact: Bool
        var peak: String?
        /// The graph's text; left out with `--summary`.
        var graph: String?
    }

    func run() throws {
        let progress = ProgressDisplay(isQuiet: result.output.quiet)
        defer { progress.end() }
        progress.step("reading", seconds: model.fileSize * 3e-8, then: model.fileSize * 1e-7)
        let written = try model.graph()
        progress.step("optimising", seconds: model.fileSize * 1e-7)
        let graph = asWritten ? written : try target.load().deployed(written)
        let cost = try Cost(of: graph), plan = try CProgram.memory(of: graph), timeline = MemoryTimeline(graph, plan)
        if let svg { try Folders.write(Data(timeline.svg().utf8), to: svg) }
        let peak = plan.peakNode.map { index in
            let node = graph.nodes[index]
            return "node \(index): \(node.op.mnemonic)\(node.name.map { " " + AttributeValue.quote($0) } ?? "")"
        }
        let best = plan.bestOrder(of: graph)
        let figures = Figures(
            nodes: graph.nodes.count { !($0.op is any SourceOperator) }, macs: cost.macs, parameters: cost.parameters,
            parameterBytes: cost.parameterBytes, arenaBytes: plan.arenaBytes, leastArenaBytes: plan.lowerBound,
            bestOrderBytes: best.bytes, bestOrderIsExact: best.isExact, peak: peak,
            graph: summary ? nil : shortened(graph.description))
        let table = Terminal.table([
            ["figure", "value"], ["nodes", "\(figures.nodes)"], ["multiply-accumulates", "\(figures.macs)"],
            ["parameters", "\(figures.parameters)"], ["parameter bytes", "\(figures.parameterBytes)"],
            ["arena bytes", "\(figures.arenaBytes)"], ["arena bytes at least", "\(figures.leastArenaBytes)"],
            ["arena bytes, best order", "\(best.bytes)\(best.isExact ? "" : " or more")"],
        ])
        progress.end()
        var parts = [figures.graph, table, peak.map { "peak at \($0)" }].compactMap { $0 }
        if !summary { parts.append("\n" + timeline.text()) }
        try result.emit(parts.joined(separator: "\n"), json: figures)
    }

    /// Constants' bytes fill pages and say nothing to a reader.
    private func shortened(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            guard let start = line.range(of: " 0x"), line.contains("= constant"),
                let end = line.range(of: " : ", options: .backwards),
                line.distance(from: start.upperBound, to: end.lowerBound) > 40
            else { return String(line) }
            return line[..<start.upperBound] + line[start.upperBound...].prefix(16) + "…" + line[end.lowerBound...]
        }.joined(separator: "\n")
    }
}

/// The arena of a plan over the steps of a graph.
struct MemoryTimeline {
    let graph: Graph
    let plan: MemoryPlan

    init(_ graph: Graph, _ plan: MemoryPlan) {
        self.graph = graph
        self.plan = plan
    }

    /// A line for each node: live bytes, and a bar to the scale of the peak.
    func text(width: Int = 50) -> String {
        let peak = max(plan.lowerBound, 1)
        var rows = [["node", "live bytes", "operator", ""]]
        for (index, node) in graph.nodes.enumerated() where !(node.op is any SourceOperator) {
            let live = plan.liveBytes[index]
            let mark = live == plan.lowerBound ? " peak" : ""
            rows.append([
                "\(index)", "\(live)", node.op.mnemonic, String(repeating: "#", count: live * width / peak) + mark,
            ])
        }
        return Terminal.table(rows)
    }

    /// Time to the right, addresses upwards, a rectangle for each buffer.
    func svg() -> String {
        let steps = graph.nodes.enumerated().filter { !($1.op is any SourceOperator) }.map(\.offset)
        let width = 1000.0, height = 500.0, left = 60.0, top = 30.0
        let column = width / Double(max(steps.count, 1)), scale = height / Double(max(plan.arenaBytes, 1))
        // Constants take no time: a node's column is its rank among the others.
        func x(_ step: Int) -> Double { left + column * Double(steps.count { $0 < step }) }
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(left + width + 20)) \(Int(top + height + 40))" font-family="sans-serif" font-size="12">
            <text x="\(left)" y="18">\(escaped(graph.name)): arena of \(plan.arenaBytes) bytes over \(steps.count) nodes</text>
            <rect x="\(left)" y="\(top)" width="\(width)" height="\(height)" fill="#f4f4f4"/>

            """
        for (index, buffer) in plan.buffers.enumerated() {
            let from = x(buffer.steps.lowerBound), to = x(buffer.steps.upperBound + 1)
            let hue = index * 47 % 360, y = top + height - Double(buffer.offset + buffer.bytes) * scale
            let producer = buffer.values.first.flatMap { value in graph.nodes.first { $0.results.contains(value) } }
            let label = producer.map { $0.name ?? $0.op.mnemonic } ?? "scratch"
            text += String(
                format:
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"hsl(%d,60%%,70%%)\" stroke=\"#555\" stroke-width=\"0.3\">",
                from, y, max(to - from, 0.5), Double(buffer.bytes) * scale, hue)
            text +=
                "<title>\(escaped(label)): \(buffer.bytes) bytes at \(buffer.offset), nodes \(buffer.steps.lowerBound) to \(buffer.steps.upperBound)</title></rect>\n"
        }
        if let peak = plan.peakNode {
            text += String(
                format: "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" stroke=\"#c00\"/>\n",
                x(peak), top,
                max(column, 0.5), height)
            let node = graph.nodes[peak]
            text +=
                "<text x=\"\(left)\" y=\"\(top + height + 20)\" fill=\"#c00\">peak at \(escaped(node.name ?? node.op.mnemonic))</text>\n"
        }
        return text + "</svg>\n"
    }

    private func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
    }
}
