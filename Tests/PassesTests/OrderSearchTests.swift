import IR
import Testing

@testable import Passes

@Suite struct OrderSearchTests {
    /// Every order of the nodes in which operands come before their uses.
    static func orders(of graph: Graph) -> [[Int]] {
        let producers = graph.producers()
        let sources = graph.nodes.map { $0.operands.compactMap { producers[$0.id] } }
        var found: [[Int]] = []
        func extend(_ order: [Int]) {
            if order.count == sources.count { found.append(order) }
            for node in sources.indices where !order.contains(node) {
                if sources[node].allSatisfy(order.contains) { extend(order + [node]) }
            }
        }
        extend([])
        return found
    }

    /// On graphs small enough to try every order, none needs less than the search says, and the pass finds the best.
    @Test(arguments: 0..<40) func findsTheBestOrder(seed: UInt64) throws {
        let graph = try Planned.randomGraph(seed: seed, count: 9)
        let scratch = [Int](repeating: 0, count: graph.nodes.count)
        let best = try #require(
            Self.orders(of: graph).map { MemoryPlan(graph.ordered($0)).lowerBound }.min())
        let least = MemoryPlan.Options().variants(for: graph).map {
            OrderSearch(graph, sharing: $0, scratchBytes: scratch).run(below: .max, limit: 100_000)
        }
        #expect(least.allSatisfy { $0.isExact })
        let bound = try #require(least.map(\.leastBytes).min())
        #expect(bound <= best)
        #expect(MemoryPlan(try graph.applying(orderForMemory)).lowerBound == best)
    }
}
