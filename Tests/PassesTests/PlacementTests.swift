import IR
import Testing

@testable import Passes

@Suite struct PlacementTests {
    /// The least memory over all orders of first fit, one of which is best.
    static func least(_ items: [Placement.Item]) -> Int {
        var least = Int.max
        func extend(_ placed: [(item: Placement.Item, start: Int)], _ waiting: [Placement.Item], _ total: Int) {
            if total >= least { return }
            if waiting.isEmpty { least = total }
            for (index, item) in waiting.enumerated() {
                let others = placed.filter { $0.item.first <= item.last && item.first <= $0.item.last }
                // The lowest start that is free is the end of another item, or nothing lies below.
                let start = ([0] + others.map { $0.start + $0.item.bytes }).filter { start in
                    others.allSatisfy { start >= $0.start + $0.item.bytes || start + item.bytes <= $0.start }
                }.min()!
                var rest = waiting
                rest.remove(at: index)
                extend(placed + [(item, start)], rest, max(total, start + item.bytes))
            }
        }
        extend([], items, 0)
        return least
    }

    static func random(_ count: Int, steps: Int, seed: UInt64) -> [Placement.Item] {
        var random = RandomSource(seed: seed)
        return (0..<count).map { _ in
            let first = Int.random(in: 0..<steps, using: &random)
            return Placement.Item(
                bytes: 64 * Int.random(in: 1...9, using: &random), first: first,
                last: min(steps - 1, first + Int.random(in: 0...3, using: &random)))
        }
    }

    static func bound(_ items: [Placement.Item]) -> Int {
        (0..<100).map { step in
            items.reduce(0) { $0 + ($1.first <= step && step <= $1.last ? $1.bytes : 0) }
        }.max() ?? 0
    }

    /// On few items that overlap in many ways, nothing is better than what is found.
    @Test(arguments: 0..<60) func findsTheBestPlacement(seed: UInt64) {
        let items = Self.random(8, steps: 6, seed: seed), bound = Self.bound(items)
        let placement = Placement.best(items, bound: bound, effort: .thorough)
        #expect(placement.bytes >= bound)
        #expect(placement.bytes == Self.least(items))
    }

    @Test(arguments: 0..<10) func itemsInUseTogetherLieApart(seed: UInt64) {
        let items = Self.random(60, steps: 40, seed: seed), bound = Self.bound(items)
        for effort in [MemoryPlan.Effort.quick, .thorough] {
            let placement = Placement.best(items, bound: bound, effort: effort)
            for (a, i) in zip(items, placement.offsets) {
                #expect(i >= 0 && i + a.bytes <= placement.bytes)
            }
            for (index, a) in items.enumerated() {
                for (other, b) in items.enumerated().prefix(index) where a.first <= b.last && b.first <= a.last {
                    let (i, j) = (placement.offsets[index], placement.offsets[other])
                    #expect(i + a.bytes <= j || j + b.bytes <= i)
                }
            }
        }
    }
}
