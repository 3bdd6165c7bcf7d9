/// The dimension along which a node's work is shared between threads: the schedule's decision `split`.
enum Split: String, CaseIterable, Hashable, Sendable {
    /// Pixels, rows or tiles of the result: every share reads all weights.
    case rows
    /// Output channels: every share reads its own weights and all inputs.
    case channels
}

/// Shares of a loop, one for each thread, as C text in terms of the share's number `part`.
///
/// Which share computes a value changes nothing in how it is computed, so that results are the same for any number.
struct Shares: Hashable, Sendable {
    var count: Int

    static let whole = Shares(count: 1)

    /// The first and the end of the share of `0 ..< n`, in units of `step`.
    func range(_ n: Int, step: Int = 1) -> (first: String, end: String) {
        guard count > 1 else { return ("0", "\(n * step)") }
        let unit = step == 1 ? "" : " * \(step)"
        return ("\(n) * part / \(count)\(unit)", "\(n) * (part + 1) / \(count)\(unit)")
    }

    /// The largest share of `n` equal pieces, of 1.
    func largest(_ n: Int) -> Double { Double((n + count - 1) / count) / Double(max(n, 1)) }

    /// Boundaries of contiguous shares of pieces whose costs differ, each where the sum comes closest to equal.
    func cuts(_ costs: [Double]) -> [Int] {
        let total = costs.reduce(0, +)
        var cuts = [0], sum = 0.0, next = 0
        for share in 1..<max(count, 1) {
            let wanted = total * Double(share) / Double(count)
            while next < costs.count, sum + costs[next] / 2 < wanted {
                sum += costs[next]
                next += 1
            }
            cuts.append(next)
        }
        return cuts + [costs.count]
    }

    /// The cost of the most expensive share under ``cuts(_:)``.
    func most(_ costs: [Double]) -> Double {
        let cuts = cuts(costs)
        return zip(cuts, cuts.dropFirst()).map { costs[$0..<$1].reduce(0, +) }.max() ?? 0
    }
}
