import IR
import Operators
import Passes
import Testing

@Suite struct MemoryPlanTests {
    /// Runs a graph in the planned memory, byte for byte as an executor would.
    static func run(_ graph: Graph, in plan: MemoryPlan, inputs: [Literal]) throws -> [[Float]] {
        var arena = [UInt8](repeating: 0xff, count: plan.arenaBytes)
        var handedIn = graph.outputs.map { [UInt8](repeating: 0xff, count: graph.type(of: $0).byteCount) }
        var external: [Value: [UInt8]] = graph.constants.mapValues(\.bytes)
        for (input, literal) in zip(graph.inputs, inputs) { external[input] = literal.bytes }

        func read(_ value: Value) -> Literal {
            let (place, type) = (plan.places[value.id], graph.type(of: value))
            let range = place.offset..<place.offset + type.byteCount
            let bytes =
                switch place.base {
                case .external(let owner): external[owner]![range]
                case .output(let index): handedIn[index][range]
                case .arena: arena[range]
                }
            return Literal(type.element, type.shape, bytes: Array(bytes))
        }
        for (step, node) in graph.nodes.enumerated() where !(node.op is any SourceOperator) {
            let results = try #require(Interpreter.evaluate(node.op, node.operands.map(read)))
            if let start = plan.scratch[step] { for i in start..<start + 192 { arena[i] = 0xff } }
            for (value, result) in zip(node.results, results) {
                let place = plan.places[value.id]
                let range = place.offset..<place.offset + result.bytes.count
                switch place.base {
                case .external(let owner): #expect(external[owner]![range] == result.bytes[...])  // a view of it
                case .output(let index): handedIn[index].replaceSubrange(range, with: result.bytes)
                case .arena: arena.replaceSubrange(range, with: result.bytes)
                }
            }
        }
        for index in plan.copiedOutputs { handedIn[index] = read(graph.outputs[index]).bytes }
        return graph.outputs.indices.map { index in
            let type = graph.type(of: graph.outputs[index])
            if case .arena = plan.places[graph.outputs[index].id].base { return read(graph.outputs[index]).floats }
            return Literal(type.element, type.shape, bytes: handedIn[index]).floats
        }
    }

    @Test(arguments: 0..<60) func plannedMemoryKeepsEveryLiveValue(seed: UInt64) throws {
        let graph = try Planned.randomGraph(seed: seed, count: 40)
        try graph.verify()
        let inputs = graph.inputs.map { value in
            Literal((0..<graph.type(of: value).count).map { Float($0 + 1) / 8 })
        }
        let expected = try Interpreter.run(graph, inputs: inputs.map { ReferenceTensor<Float>($0) }).map(\.reals)
        for outputsInArena in [false, true] {
            for effort in [MemoryPlan.Effort.quick, .thorough] {
                let plan = MemoryPlan(graph, options: .init(outputsInArena: outputsInArena, effort: effort)) {
                    step, _ in
                    step % 5 == 0 ? 192 : 0
                }
                let found = try Self.run(graph, in: plan, inputs: inputs)
                #expect(found == expected, "seed \(seed)")
                #expect(plan.arenaBytes >= plan.lowerBound)
                #expect(plan.bestOrder(of: graph, limit: 200).bytes <= plan.lowerBound)
                #expect(plan.buffers.allSatisfy { $0.offset % 64 == 0 && $0.offset + $0.bytes <= plan.arenaBytes })
                for (index, a) in plan.buffers.enumerated() {
                    for b in plan.buffers[..<index] where a.steps.overlaps(b.steps) {
                        #expect(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset, "seed \(seed)")
                    }
                }
            }
        }
    }

    @Test func sharesMemoryWhereItMay() throws {
        let graph = try Graph(
            parsing: """
                graph @shares(%x: f32[64]) {
                  %0 = planned.reverse %x : f32[64]
                  %1 = planned.sum %0, %x : f32[64]
                  %2 = planned.view %1 : f32[64,1]
                  %3 = planned.view %2 : f32[64]
                  %4 = planned.reverse %3 : f32[64]
                  %5 = planned.join %4, %x : f32[128]
                  return %5
                }
                """, operators: Planned.operators)
        let plan = MemoryPlan(graph)
        // The sum overwrites what it adds to, the views are the sum, the second reversal is made inside the output.
        #expect(plan.arenaBytes == 256)
        #expect(plan.lowerBound == 256)
        #expect(plan.places[graph.nodes[4].results[0].id] == MemoryPlan.Place(base: .output(0), offset: 0))
        #expect(plan.copiedOutputs.isEmpty)
        #expect(plan.liveBytes == [256, 256, 256, 256, 256, 0])
        #expect(MemoryPlan(graph, options: .init(outputsInArena: true)).arenaBytes == 768)
    }

    @Test func outputsThatNobodyWritesAreCopied() throws {
        let graph = try Graph(
            parsing: """
                graph @copies(%x: f32[32]) {
                  %0 = planned.reverse %x : f32[32]
                  %1 = planned.half %0 : f32[16]
                  return %x, %0, %0, %1
                }
                """, operators: Planned.operators)
        let plan = MemoryPlan(graph)
        #expect(plan.copiedOutputs == [0, 2, 3])
        #expect(plan.places[graph.outputs[3].id] == MemoryPlan.Place(base: .output(1), offset: 64))
        #expect(plan.arenaBytes == 0)
    }

    /// A view would keep the whole vector alive, beside others: the half is copied, into the result of the join.
    @Test func sharesNothingWhereThatNeedsMore() throws {
        let graph = try Graph(
            parsing: """
                graph @halves(%x: f32[128], %y: f32[128]) {
                  %0 = planned.reverse %x : f32[128]
                  %1 = planned.half %0 : f32[64]
                  %2 = planned.reverse %y : f32[128]
                  %3 = planned.reverse %2 : f32[128]
                  %4 = planned.join %1, %3 : f32[192]
                  %5 = planned.reverse %4 : f32[192]
                  return %5
                }
                """, operators: Planned.operators)
        let bytes = [false, true].map { views in
            [false, true].map { places in
                var options = MemoryPlan.Options()
                (options.viewsParts, options.placesConcatenations) = (views, places)
                return MemoryPlan(graph, options: options).lowerBound
            }
        }
        #expect(bytes == [[1536, 1280], [1536, 1280]])
        let plan = MemoryPlan(graph)
        #expect(plan.arenaBytes == 1280)
        #expect(plan.places[graph.nodes[1].results[0].id] == plan.places[graph.nodes[4].results[0].id])
    }

    /// Two wide branches: the order given keeps both alive, and the bound tells that another need not.
    @Test func theLeastHoldsForEveryOrder() throws {
        let graph = try Graph(
            parsing: """
                graph @branches(%x: f32[1,4,8,8]) {
                  %0 = relu %x : f32[1,4,8,8]
                  %1 = concat %0, %0, %0, %0 : f32[1,16,8,8]
                  %2 = concat %x, %0, %0, %0 : f32[1,16,8,8]
                  %3 = reduce_mean %1 {axes = [1]} : f32[1,8,8]
                  %4 = reduce_mean %2 {axes = [1]} : f32[1,8,8]
                  %5 = add %3, %4 : f32[1,8,8]
                  return %5
                }
                """)
        let plan = MemoryPlan(graph), better = MemoryPlan(try graph.applying(orderForMemory))
        #expect(better.lowerBound < plan.lowerBound)
        let best = plan.bestOrder(of: graph)
        #expect(best.bytes == better.lowerBound && best.isExact)
    }

    @Test func staysNearTheBoundOnDeepNetworks() throws {
        for seed in 100..<110 as Range<UInt64> {
            let graph = try Planned.randomGraph(seed: seed, count: 300)
            let plan = MemoryPlan(graph, options: .init(outputsInArena: true))
            #expect(Double(plan.arenaBytes) <= 1.1 * Double(plan.lowerBound), "seed \(seed)")
        }
    }
}
