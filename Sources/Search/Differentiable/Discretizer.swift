/// How mixture weights become an architecture. The same rule selects, regularises and exports.
public enum Discretizer: Hashable, Sendable, Codable {
    /// The heaviest operator of every choice point.
    case heaviest
    /// For every node the `edges` incoming edges whose heaviest operator, `none` left out, weighs most; on each of them
    /// that operator, and `none` on the others. Choice points that enter no node take their heaviest.
    ///
    /// - Source: Liu et al., *DARTS*, ICLR 2019, section 2.4.
    case topEdges(Int)

    /// The wiring that the rule needs to know.
    public struct Layout: Hashable, Sendable {
        /// The choice points that enter each node.
        public var nodes: [[Int]]
        /// The index of the operator `none` of every choice point, where it has one.
        public var none: [Int?]

        public init(nodes: [[Int]], none: [Int?]) {
            self.nodes = nodes
            self.none = none
        }
    }

    /// The chosen operator of every choice point; `nil` where the edge is dropped and has no operator `none`.
    public func choose(_ weights: [[Double]], _ layout: Layout) -> [Int?] {
        switch self {
        case .heaviest: return weights.map { argmax($0) }
        case .topEdges(let count):
            let best = weights.indices.map { site -> (index: Int, weight: Double) in
                let candidates = weights[site].indices.filter { $0 != layout.none[site] }
                let first =
                    candidates.max {
                        weights[site][$0] < weights[site][$1] || (weights[site][$0] == weights[site][$1] && $0 > $1)
                    } ?? 0
                return (first, weights[site][first])
            }
            var chosen: [Int?] = weights.map { argmax($0) }
            for site in layout.nodes.joined() { chosen[site] = layout.none[site] }
            for edges in layout.nodes {
                let kept = edges.sorted {
                    best[$0].weight > best[$1].weight || (best[$0].weight == best[$1].weight && $0 < $1)
                }
                for site in kept.prefix(count) { chosen[site] = best[site].index }
            }
            return chosen
        }
    }

    /// The choice as one-hot rows; a dropped edge is a row of zeros, also where it is the operator `none`.
    public func vertex(_ weights: [[Double]], _ layout: Layout) -> [[Double]] {
        let chosen = choose(weights, layout)
        let edges = Set(layout.nodes.joined())
        return weights.indices.map { site in
            let isDropped = self != .heaviest && edges.contains(site) && chosen[site] == layout.none[site]
            return weights[site].indices.map { !isDropped && $0 == chosen[site] ? 1 : 0 }
        }
    }
}
