/// Whether more or less of an objective is better.
public enum Direction: String, Codable, Hashable, Sendable {
    case minimize, maximize

    /// Whether `a` is strictly better than `b`.
    public func prefers(_ a: Double, to b: Double) -> Bool { self == .minimize ? a < b : a > b }
}

/// The indices of the points that no other dominates, best first by the first objective.
///
/// A point dominates another when it is nowhere worse and somewhere better. Of equal points the first is kept.
///
/// - Precondition: each point has one finite value per direction.
/// - Complexity: O(n²).
public func paretoFront(_ points: [[Double]], _ directions: [Direction]) -> [Int] {
    precondition(points.allSatisfy { $0.count == directions.count }, "a point has one value per objective")
    func dominates(_ a: [Double], _ b: [Double]) -> Bool {
        var better = false
        for (direction, pair) in zip(directions, zip(a, b)) {
            if direction.prefers(pair.1, to: pair.0) { return false }
            if direction.prefers(pair.0, to: pair.1) { better = true }
        }
        return better
    }
    var front = points.indices.filter { i in
        !points.indices.contains { j in dominates(points[j], points[i]) || (j < i && points[j] == points[i]) }
    }
    // No two members agree in all objectives; index breaks what is left, so the order is total.
    front.sort { i, j in
        for (direction, pair) in zip(directions, zip(points[i], points[j])) where pair.0 != pair.1 {
            return direction.prefers(pair.0, to: pair.1)
        }
        return i < j
    }
    return front
}
