import IR
import Operators
import Passes
import TestSupport
import Testing

/// Laws that hold for every graph.
@Suite struct RandomGraphTests {
    @Test(arguments: 0..<40) func textIsTheGraph(seed: UInt64) throws {
        let graph = try RandomGraph.network(seed: seed)
        try graph.verify()
        let read = try Graph(parsing: graph.description)
        #expect(read == graph)
        #expect(read.description == graph.description)
    }

    @Test(arguments: 0..<40) func passesKeepTheMeaning(seed: UInt64) throws {
        let graph = try RandomGraph.network(seed: seed, trains: false)
        let passes = [
            chooseLayout(), chooseLayout(padding: 16), orderForMemory, removeDeadCode, foldConstants, removeIdentities,
            mergeDuplicates,
            foldBatchNorm, recogniseActivations, recogniseMeans, fuseEpilogues,
        ]
        for pass in passes {
            let once = try graph.applying(pass)
            #expect(try meaningDifference(graph, once) < 1e-9, "seed \(seed), \(pass.name)\n\(graph)\n\(once)")
            #expect(try once.applying(pass).description == once.description, "seed \(seed), \(pass.name) twice")
        }
    }

    @Test(arguments: 0..<40) func trainingPassesKeepTheMeaning(seed: UInt64) throws {
        let graph = try RandomGraph.trainingStep(seed: seed)
        for pass in [chooseLayout(), orderForMemory, fuseNormalisation] {
            let once = try graph.applying(pass)
            #expect(try meaningDifference(graph, once) < 1e-8, "seed \(seed), \(pass.name)\n\(graph)\n\(once)")
        }
    }

    @Test(arguments: 0..<40) func orderingNeverNeedsMore(seed: UInt64) throws {
        let graph = try RandomGraph.network(seed: seed, count: 40)
        let before = MemoryPlan(graph), after = MemoryPlan(try graph.applying(orderForMemory))
        #expect(after.lowerBound <= before.lowerBound)
        #expect(Double(after.arenaBytes) <= 1.05 * Double(after.lowerBound), "seed \(seed)")
    }

    @Test func costsAreThoseOfTheOperators() throws {
        let graph = try Graph(
            parsing: """
                graph @cost(%x: f32[2,3,4,4]) {
                  %0 = parameter "w" : f32[8,3,3,3]
                  %1 = conv2d %x, %0 {padding = [1, 1, 1, 1]} : f32[2,8,4,4]
                  %2 = relu %1 : f32[2,8,4,4]
                  %3 = reduce_mean %2 {axes = [2, 3]} : f32[2,8]
                  %4 = constant [1, 2, 3, 4, 5, 6, 7, 8] : f32[1,8]
                  %5 = linear %3, %4 : f32[2,1]
                  return %5
                }
                """)
        let cost = try Cost(of: graph)
        #expect(cost.macs == 2 * 8 * 4 * 4 * 27 + 16)
        #expect(cost.parameters == 8 * 27 + 8)
        #expect(cost.parameterBytes == 4 * cost.parameters)
        #expect(cost.interfaceBytes == 4 * (2 * 3 * 16 + 2))
        #expect(cost.peakBytes == 4 * 2 * 8 * 16 + 64)
    }
}
