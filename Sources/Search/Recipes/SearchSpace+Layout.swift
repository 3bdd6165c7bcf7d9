import Spaces

extension SearchSpace {
    /// What discretizers need to know of the space.
    var layout: Discretizer.Layout {
        var nodes: [[Int]] = []
        for cell in cells where cell.wiring == .twoInputs {
            for to in 2..<cell.nodes { nodes.append((0..<to).map { cell.site(from: $0, to: to) }) }
        }
        return Discretizer.Layout(nodes: nodes, none: sites.map { $0.alternatives.firstIndex(of: "none") })
    }

    /// The sites of each kind of cell; all of them where there are none.
    var groups: [Range<Int>] {
        cells.isEmpty ? [0..<sites.count] : cells.map { $0.firstSite..<($0.firstSite + $0.siteCount) }
    }

    /// The alternatives that pass their input on or drop it: what a search that collapses ends with.
    func isSkip(_ site: Int, _ alternative: Int) -> Bool {
        ["skip_connect", "skip"].contains(sites[site].alternatives[alternative])
    }

    /// Whether an alternative gives nothing of its own, so that its gate has no gradient.
    func isZero(_ site: Int, _ alternative: Int) -> Bool {
        ["none", "skip"].contains(sites[site].alternatives[alternative])
    }

    /// The sites of the two slots of every node, as inputs and operators.
    var slotPairs: [DuplicatePenalty.Slots] {
        cells.filter { $0.wiring == .twoSlots }.flatMap { cell in
            (2..<cell.nodes).map { node in
                let (a, b) = (cell.slot(0, of: node), cell.slot(1, of: node))
                return DuplicatePenalty.Slots(inputs: (a.input, b.input), operators: (a.operator, b.operator))
            }
        }
    }
}
