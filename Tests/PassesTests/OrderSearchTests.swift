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

    /// Scratch memory that depends on the node alone, so that it is the same in every order.
    static func scratch(_ graph: Graph) -> [Int] {
        graph.nodes.map { node in
            let rank = graph.type(of: node.results[0]).byteCount / 64 + 3 * node.operands.count
            return node.op is any SourceOperator ? 0 : rank % 4 * 128
        }
    }

    /// On graphs small enough to try every order, none needs less than the search says, and the pass finds the best.
    @Test(arguments: 0..<24, [false, true]) func findsTheBestOrder(seed: UInt64, hasScratch: Bool) throws {
        let graph = try Planned.randomGraph(seed: seed, count: 9)
        @Sendable func scratch(_ graph: Graph) -> [Int] {
            hasScratch ? Self.scratch(graph) : [Int](repeating: 0, count: graph.nodes.count)
        }
        func plan(_ graph: Graph) -> MemoryPlan {
            let bytes = scratch(graph)
            return MemoryPlan(graph, options: .init(effort: .quick)) { index, _ in bytes[index] }
        }
        let best = try #require(Self.orders(of: graph).map { plan(graph.ordered($0)).lowerBound }.min())
        let least = MemoryPlan.Options().variants(for: graph).map {
            OrderSearch(graph, sharing: $0, scratchBytes: scratch(graph)).run(below: .max, limit: 100_000)
        }
        #expect(least.allSatisfy { $0.isExact })
        let bound = try #require(least.map(\.leastBytes).min())
        #expect(bound <= best)
        // Nor is the bound that holds where the search gives up higher than the best order.
        #expect(plan(graph).bestOrder(of: graph, limit: 1).bytes <= best)
        let found = plan(try graph.applying(orderForMemory(scratchBytes: scratch))).lowerBound
        // With scratch memory, what an order shares can be less than the search takes for granted.
        #expect(hasScratch ? found <= plan(graph).lowerBound : found == best)
    }

    /// Both orders of the branches keep the same values alive; the one whose scratch is large should run first.
    @Test func scratchDecidesBetweenOrders() throws {
        let graph = try Graph(
            parsing: """
                graph @branches(%x: f32[64]) {
                  %0 = planned.reverse %x : f32[64]
                  %1 = planned.reverse "small" %0 : f32[64]
                  %2 = planned.reverse "large" %0 : f32[64]
                  %3 = planned.sum %1, %2 : f32[64]
                  %4 = planned.reverse %3 : f32[64]
                  return %4
                }
                """, operators: Planned.operators)
        @Sendable func scratch(_ graph: Graph) -> [Int] {
            graph.nodes.map { $0.name == "large" ? 256 : $0.name == "small" ? 60 : 0 }
        }
        func plan(_ graph: Graph) -> MemoryPlan {
            let bytes = scratch(graph)
            return MemoryPlan(graph) { index, _ in bytes[index] }
        }
        #expect(plan(try graph.applying(orderForMemory)).arenaBytes == 1024)
        let better = try graph.applying(orderForMemory(scratchBytes: scratch))
        #expect(better.nodes.map(\.name).firstIndex(of: "large") == 1)
        #expect(plan(better).arenaBytes == 832)
        #expect(plan(graph).bestOrder(of: graph).bytes == 832)
    }

    /// Each branch alone needs two vectors at once; whichever runs second has the other's result beside it.
    @Test func twoNodesBoundMoreThanEach() throws {
        let graph = try Graph(
            parsing: """
                graph @twins(%x: f32[64]) {
                  %0 = planned.reverse %x : f32[64]
                  %1 = planned.reverse %0 : f32[64]
                  %2 = planned.reverse %x : f32[64]
                  %3 = planned.reverse %2 : f32[64]
                  %4 = planned.sum %1, %3 : f32[64]
                  %5 = planned.reverse %4 : f32[64]
                  return %5
                }
                """, operators: Planned.operators)
        let uses = StorageUses(graph, MemoryPlan.Options(), [Int](repeating: 0, count: graph.nodes.count))
        #expect(uses.leastBytes(at: 3, after: [], before: []) == 512)
        #expect(uses.leastBytes(at: 3, after: [1], before: []) == 768)
        #expect(uses.leastBytes(at: 3, after: [], before: [1]) == 512)
        let best = MemoryPlan(graph).bestOrder(of: graph, limit: 1)
        #expect(best.bytes == 768 && best.isExact)
    }
}
