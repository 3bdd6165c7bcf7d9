import IR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct RecomputeTests {
    private static func bytes(_ graph: Graph) -> Int { MemoryPlan(graph, options: .init(effort: .quick)).lowerBound }

    private static func step() throws -> Graph {
        try SmallSupernet.step(channels: 16, side: 16).applying(fuseNormalisation)
    }

    @Test(arguments: [0.95, 0.9]) func fitsTheLimitAndKeepsTheMeaning(share: Double) throws {
        let step = try Self.step(), limit = Int(share * Double(Self.bytes(step)))
        let limited = try step.applying(recompute(within: limit) { graph throws(PassError) in Self.bytes(graph) })
        #expect(Self.bytes(limited) <= limit)
        #expect(limited.nodes.count > step.nodes.count)
    }

    @Test func aStepThatFitsStays() throws {
        let step = try Self.step(), limit = Self.bytes(step)
        let same = try step.applying(recompute(within: limit) { graph throws(PassError) in Self.bytes(graph) })
        #expect(same.description == step.description)
    }

    @Test func recomputedValuesAreTheSame() throws {
        let step = try SmallSupernet.step(channels: 8, side: 12).applying(fuseNormalisation)
        let limit = Int(0.95 * Double(Self.bytes(step)))
        let limited = try step.applying(recompute(within: limit) { graph throws(PassError) in Self.bytes(graph) })
        #expect(limited.nodes.count > step.nodes.count)
        #expect(try meaningDifference(step, limited) == 0)
    }

    @Test func saysWhatTheSmallestStepNeeds() throws {
        let step = try Self.step()
        let error = #expect(throws: PassError.self) {
            _ = try step.applying(recompute(within: 1000) { graph throws(PassError) in Self.bytes(graph) })
        }
        #expect(error?.message.contains("at least") == true)
        #expect(error?.message.contains("limit is 1000") == true)
    }
}
