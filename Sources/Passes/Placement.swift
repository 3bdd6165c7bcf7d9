/// Offsets for stretches of memory that are in use during intervals of steps.
///
/// First fit in some order: an item goes to the lowest gap between the items that are in use at the same time.
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
    static func best(_ items: [Item], bound: Int, effort: MemoryPlan.Effort) -> Placement {
        let limit = effort == .quick ? bound + bound / 20 : bound
        var best = overTime(items)
        func take(_ placement: Placement) { if placement.bytes < best.bytes { best = placement } }
        if best.bytes <= limit { return best }
        let ranks: [(Item) -> Int] = [
            { $0.bytes }, { $0.bytes * ($0.last - $0.first + 1) }, { $0.last - $0.first },
        ]
        for rank in ranks.prefix(effort == .quick ? 1 : ranks.count) {
            var order = sorted(items, by: rank)
            // The item that ends highest came too late: it is served earlier, as long as that helps.
            for _ in 0..<(effort == .quick ? 1 : 48) {
                let placement = firstFit(items, order)
                take(placement)
                if best.bytes <= limit { return best }
                guard let top = order.firstIndex(where: { placement.offsets[$0] + items[$0].bytes == placement.bytes }),
                    top > 0
                else { break }
                let item = order.remove(at: top)
                order.insert(item, at: top / 2)
            }
        }
        return best
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
