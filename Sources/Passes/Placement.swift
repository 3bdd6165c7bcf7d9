import IR

/// Offsets for stretches of memory that are in use during intervals of steps.
///
/// First fit in some order: an item goes to the lowest gap between the items that are in use at the same time. Every
/// placement that is best arises so from some order (that of its offsets), so what is looked for is an order.
struct Placement {
    struct Item {
        var bytes: Int
        var first: Int
        var last: Int
    }

    var offsets: [Int]
    var bytes: Int

    /// The best of several orders.
    ///
    /// - Parameter bound: no placement is smaller; the search ends when it is reached (nearly, when effort is `quick`).
    static func best(
        _ items: [Item], bound: Int, effort: MemoryPlan.Effort, random: RandomSource = RandomSource(seed: 0)
    ) -> Placement {
        let limit = effort == .quick ? bound + bound / 20 : bound
        var best = overTime(items)
        func take(_ placement: Placement) { if placement.bytes < best.bytes { best = placement } }
        if best.bytes <= limit { return best }
        let ranks: [(Item) -> Int] = [
            { $0.bytes }, { $0.bytes * ($0.last - $0.first + 1) }, { $0.last - $0.first },
        ]
        var lowest: (order: [Int], bytes: Int) = ([], .max)
        for rank in ranks.prefix(effort == .quick ? 1 : ranks.count) {
            var order = sorted(items, by: rank)
            // The item that ends highest came too late: it is served earlier, as long as that helps.
            for _ in 0..<(effort == .quick ? 1 : 48) {
                let placement = firstFit(items, order)
                take(placement)
                if best.bytes <= limit { return best }
                if placement.bytes < lowest.bytes { lowest = (order, placement.bytes) }
                guard let top = order.firstIndex(where: { placement.offsets[$0] + items[$0].bytes == placement.bytes }),
                    top > 0
                else { break }
                let item = order.remove(at: top)
                order.insert(item, at: top / 2)
            }
        }
        if effort == .thorough { take(improve(items, lowest.order, bound: bound, random)) }
        return best
    }

    /// The best of the placements on a random walk through orders that never get worse.
    ///
    /// A step moves an item that ends at the top, or that lies in memory while such a one does, to an earlier turn. Their
    /// number keeps the work for many items below that for a few hundred.
    private static func improve(_ items: [Item], _ start: [Int], bound: Int, _ random: RandomSource) -> Placement {
        var random = random, order = start
        var current = firstFit(items, order)
        for _ in 0..<min(2000, 8_000_000 / (items.count * items.count + 1)) {
            if current.bytes <= bound { break }
            let tops = order.indices.filter { current.offsets[order[$0]] + items[order[$0]].bytes == current.bytes }
            let top = items[order[tops[Int.random(in: tops.indices, using: &random)]]]
            // Above the bound there are gaps beside or below the top, so what surrounds it can lie otherwise.
            let movable = order.indices.filter {
                let item = items[order[$0]]
                return $0 > 0 && item.bytes > 0 && item.first <= top.last && top.first <= item.last
            }
            guard let from = movable.randomElement(using: &random) else { break }
            var changed = order
            changed.insert(changed.remove(at: from), at: Int.random(in: 0..<from, using: &random))
            let next = firstFit(items, changed)
            if next.bytes <= current.bytes { (order, current) = (changed, next) }
        }
        return current
    }

    private static func sorted(_ items: [Item], by rank: (Item) -> Int) -> [Int] {
        let ranks = items.map(rank)
        return items.indices.sorted { (-ranks[$0], -items[$0].bytes, $0) < (-ranks[$1], -items[$1].bytes, $1) }
    }

    /// First fit in order of birth, larger ones first: linear in the items times the number alive at once.
    private static func overTime(_ items: [Item]) -> Placement {
        var offsets = [Int](repeating: 0, count: items.count)
        var total = 0
        var live: [(start: Int, end: Int, last: Int)] = []
        let order = items.indices.sorted {
            (items[$0].first, -items[$0].bytes, $0) < (items[$1].first, -items[$1].bytes, $1)
        }
        var step = -1
        for index in order {
            let item = items[index]
            if item.first != step {
                step = item.first
                live.removeAll { $0.last < step }
            }
            var (cursor, position) = (0, 0)
            while position < live.count, live[position].start - cursor < item.bytes {
                cursor = max(cursor, live[position].end)
                position += 1
            }
            if item.bytes > 0 { live.insert((cursor, cursor + item.bytes, item.last), at: position) }
            offsets[index] = cursor
            total = max(total, cursor + item.bytes)
        }
        return Placement(offsets: offsets, bytes: total)
    }

    private static func firstFit(_ items: [Item], _ order: [Int]) -> Placement {
        var offsets = [Int](repeating: 0, count: items.count)
        var total = 0
        var placed: [(start: Int, end: Int, first: Int, last: Int)] = []  // by start
        placed.reserveCapacity(items.count)
        for index in order {
            let item = items[index]
            var cursor = 0
            placed.withUnsafeBufferPointer { placed in
                for other in placed where other.first <= item.last && item.first <= other.last {
                    if other.start - cursor >= item.bytes { break }
                    cursor = max(cursor, other.end)
                }
            }
            if item.bytes > 0 {
                var (low, high) = (0, placed.count)
                while low < high {
                    let middle = (low + high) / 2
                    if placed[middle].start < cursor { low = middle + 1 } else { high = middle }
                }
                placed.insert((cursor, cursor + item.bytes, item.first, item.last), at: low)
            }
            offsets[index] = cursor
            total = max(total, cursor + item.bytes)
        }
        return Placement(offsets: offsets, bytes: total)
    }
}
