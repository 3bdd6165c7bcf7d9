public import IR
import Operators

extension Graph {
    /// Other schedules that a node's kernel can have: each differs from its own in one decision.
    ///
    /// They change no meaning and no layout: the tile of Winograd's transform, the rows of a fused block, and what the
    /// shares of several threads are made of.
    ///
    /// - Parameter exact: whether transforms that round differently from plain sums are left out.
    public func scheduleCandidates(ofNode index: Int, exact: Bool = false) -> [Schedule] {
        let node = nodes[index], schedule = node.schedule
        var candidates: [Schedule] = []
        func add(_ name: String, _ value: AttributeValue) {
            var other = schedule
            // The decision keeps its place, so that equal schedules print alike.
            guard let at = other.decisions.firstIndex(where: { $0.name == name }) else { return }
            other.decisions[at].value = value
            candidates.append(other)
        }
        if case .string(let split)? = schedule["split"] {
            for other in Split.allCases where other.rawValue != split { add("split", .string(other.rawValue)) }
        }
        if case .integer(let tile)? = schedule["winograd"], !exact {
            for other in [4, 2, 0] where other != tile { add("winograd", .integer(other)) }
        }
        if case .integer(let band)? = schedule["band"], let result = node.results.first {
            let shape = type(of: result).shape
            let height = shape.count == 4 ? shape[2] : 1
            let divisors = height > 0 ? (1...height).filter { height % $0 == 0 && $0 != band } : []
            // The nearest first: far ones only win on machines whose caches were described wrongly.
            func distance(_ other: Int) -> Double { Double(max(other, band)) / Double(min(other, band)) }
            let ordered = divisors.sorted { distance($0) < distance($1) }
            for other in ordered.prefix(4) { add("band", .integer(other)) }
        }
        return candidates
    }
}
