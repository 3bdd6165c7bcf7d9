import IR
import Spaces

/// What a drawing of a network shows: its stages, and for each block what was chosen, its shape and its cost.
public struct NetworkSketch: Hashable, Codable, Sendable {
    public struct Block: Hashable, Codable, Sendable {
        /// The block as its space labels it, `mbconv_k5_e6`; `skip` is drawn as a gap.
        public var label: String
        public var kernel: Int?
        public var expansion: Int?
        /// Channels, height, width of the result.
        public var shape: [Int]
        public var macs: Int
        public var weights: Int
    }

    public struct Stage: Hashable, Codable, Sendable {
        public var name: String
        /// The stage's own choices, as `squeeze_excite 0.25`.
        public var settings: [String]
        public var blocks: [Block]
    }

    /// The edges of the cell that all cells of the network are copies of.
    public struct Cell: Hashable, Codable, Sendable {
        public var nodes: Int
        /// By target, then source.
        public var operators: [String]
    }

    public var stages: [Stage]
    public var cell: Cell?

    /// Reads shapes and costs off the network's graph, by the names of its nodes.
    public init(_ space: SearchSpace, _ architecture: Architecture, graph: Graph) {
        func block(_ label: String, _ block: Spaces.Block?, _ prefix: String) -> Block {
            var (macs, weights, shape): (Int, Int, [Int]) = (0, 0, [])
            for node in graph.nodes where node.name.map({ $0 == prefix || $0.hasPrefix(prefix + ".") }) ?? false {
                let types = graph.types(of: node.results)
                if node.op is Parameter {
                    weights += types[0].count
                } else {
                    macs += node.op.macs(graph.types(of: node.operands), types) ?? 0
                    shape = types[0].shape
                }
            }
            func number(_ key: String) -> Int? {
                if case .integer(let value)? = block?.settings[key] { value } else { nil }
            }
            return Block(
                label: label, kernel: number("kernel"), expansion: number("expansion"), shape: Array(shape.dropFirst()),
                macs: macs, weights: weights)
        }
        func fixed(_ name: String, _ blocks: [Spaces.Block]) -> Stage {
            let drawn = blocks.enumerated().map { block($1.label, $1, "\(name)\($0 + 1)") }
            return Stage(name: name, settings: [], blocks: drawn)
        }
        stages = [fixed("stem", space.stem)]
        for stage in space.stages {
            var blocks: [Block] = []
            if let reduction = stage.reduction {
                blocks.append(block(reduction.label, reduction, stage.name + ".reduction"))
            }
            for position in stage.body {
                let prefix = "\(stage.name).\(position.name)"
                switch position.content {
                case .fixed(let only): blocks.append(block(only.label, only, prefix))
                case .cell(let index): blocks.append(block(space.cells[index].name, nil, prefix))
                case .chosen(let site, let alternatives):
                    let chosen = alternatives[architecture[site]]
                    blocks.append(block(chosen.label, chosen, prefix))
                }
            }
            let own = space.sites.enumerated().filter { $1.role == .setting && $1.site.hasPrefix(stage.name + ".") }
            let settings = own.map { index, site in
                "\(site.site.dropFirst(stage.name.count + 1)) \(site.alternatives[architecture[index]])"
            }
            stages.append(Stage(name: stage.name, settings: settings, blocks: blocks))
        }
        stages.append(fixed("head", space.head))
        if space.cells.count == 1, space.cells[0].wiring == .dense {
            let cell = space.cells[0]
            let edges = (0..<cell.siteCount).map {
                space.sites[cell.firstSite + $0].alternatives[architecture[cell.firstSite + $0]]
            }
            self.cell = Cell(nodes: cell.nodes, operators: edges)
        } else {
            cell = nil
        }
    }
}

extension NetworkSketch {
    /// The network as columns of blocks, a column per stage; a block's colour is its kernel, its height its cost.
    func drawing() -> SVG {
        let columnWidth = 128.0, gap = 22.0, top = 64.0
        let most = Double(stages.flatMap(\.blocks).map(\.macs).max() ?? 1)
        func height(_ block: Block) -> Double {
            block.label == "skip" ? 20 : 30 + 26 * (Double(block.macs) / max(most, 1)).squareRoot()
        }
        let tallest = stages.map { $0.blocks.reduce(0) { $0 + height($1) + 8 } }.max() ?? 0
        let width = Double(stages.count) * (columnWidth + gap) - gap + 2
        var svg = SVG(width: width, height: top + tallest + 6)
        for (index, stage) in stages.enumerated() {
            let x = Double(index) * (columnWidth + gap) + 1
            svg.text(x, 14, stage.name, "strong")
            let shape = stage.blocks.last { !$0.shape.isEmpty }?.shape ?? []
            let size =
                shape.count == 3
                ? "\(shape[1])×\(shape[2]), \(shape[0]) channels" : shape.map { "\($0)" }.joined(separator: "×")
            svg.text(x, 29, size, "tiny")
            for (line, setting) in stage.settings.filter({ !$0.hasPrefix("width") && $0 != "squeeze_excite 0" }).prefix(
                2
            ).enumerated() {
                svg.text(x, 42 + 12 * Double(line), setting.replacing("_", with: " "), "tiny")
            }
            var y = top
            if index > 0 {
                let previous = Double(index - 1) * (columnWidth + gap) + 1 + columnWidth
                svg.line(previous + 4, top + 14, x - 4, top + 14, "wire")
                svg.path([(x - 9, top + 10), (x - 4, top + 14), (x - 9, top + 18)], "wire")
            }
            for block in stage.blocks {
                let tall = height(block)
                let title =
                    "\(block.label): \(block.shape.map { "\($0)" }.joined(separator: "×")), "
                    + "\(Constraint.Unit.macs.text(Double(block.macs))) MACs, \(Constraint.Unit.count.text(Double(block.weights))) weights"
                let dashed = block.label == "skip" ? " stroke=\"var(--mark)\" stroke-dasharray=\"4 3\"" : ""
                svg.rectangle(
                    x, y, columnWidth, tall, radius: 6, "fill=\"var(--\(colour(block)))\"\(dashed)", title: title)
                let inverse = ["k5", "k7"].contains(colour(block))
                svg.text(
                    x + 10, y + (tall > 38 ? tall / 2 - 2 : tall / 2 + 4), name(block), inverse ? "inverse" : "block")
                if tall > 38 {
                    let cost = Constraint.Unit.macs.text(Double(block.macs)) + " MACs"
                    svg.text(x + 10, y + tall / 2 + 12, cost, inverse ? "inverse" : "tiny")
                }
                y += tall + 8
            }
        }
        return svg
    }

    private func colour(_ block: Block) -> String {
        if block.label == "skip" { return "skip" }
        switch block.kernel {
        case 1?: return "k1"
        case 3?: return "k3"
        case 5?: return "k5"
        case let kernel? where kernel > 5: return "k7"
        default: return "other"
        }
    }

    private func name(_ block: Block) -> String {
        guard let kernel = block.kernel else { return block.label.replacing("_", with: " ") }
        let kind = block.label.prefix { $0 != "_" }
        return "\(kind) \(kernel)×\(kernel)" + (block.expansion.map { ", ×\($0)" } ?? "")
    }

    /// The cell as nodes on a line with an arc for each operator that carries something.
    func cellDrawing() -> SVG? {
        guard let cell else { return nil }
        let spacing = 190.0, middle = 130.0
        var svg = SVG(width: 60 + spacing * Double(cell.nodes - 1), height: 260)
        func x(_ node: Int) -> Double { 30 + spacing * Double(node) }
        var edge = 0
        for to in 1..<cell.nodes {
            for from in 0..<to {
                let op = cell.operators[edge]
                edge += 1
                if op == "none" { continue }
                let span = Double(to - from)
                // Longer arcs go higher, alternating sides, so that labels keep clear of each other.
                let lift = span == 1 ? 0 : (from.isMultiple(of: 2) ? -1 : 1) * (38 + 34 * (span - 1))
                let centre = (x(from) + x(to)) / 2
                svg.add(
                    "<path d=\"M\(SVG.number(x(from))) \(SVG.number(middle)) Q\(SVG.number(centre)) "
                        + "\(SVG.number(middle + 2 * lift)) \(SVG.number(x(to))) \(SVG.number(middle))\" class=\"wire\"/>"
                )
                svg.text(centre, middle + lift - 6, op.replacing("_", with: " "), "block", anchor: "middle")
            }
        }
        for node in 0..<cell.nodes {
            let style = node == 0 || node == cell.nodes - 1 ? "winner" : "finalist"
            svg.circle(x(node), middle, 13, style)
            svg.text(
                x(node), middle + 4, node == 0 ? "in" : node == cell.nodes - 1 ? "out" : "\(node)", "inverse",
                anchor: "middle")
        }
        return svg
    }
}
