import Execution
import Foundation
import IR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct ExecutorTests {
    private struct Case {
        let graph: Graph
        let inputs: [Literal]
        let parameters: [String: Literal]
        let expected: [Literal]
        /// What single precision may be off by: some graphs cancel large terms, as the definitions in `Float` show.
        let tolerances: [Double]

        init(_ seed: UInt64) throws { try self.init(RandomGraph.trainingStep(seed: seed), seed) }

        init(_ graph: Graph, _ seed: UInt64) throws {
            self.graph = graph
            let random = RandomSource(seed: seed)
            inputs = RandomGraph.inputs(of: graph, random)
            parameters = RandomGraph.parameters(of: graph, random)
            expected = try Interpreter.run(
                graph, inputs: inputs.map { ReferenceTensor<Double>($0) },
                parameters: parameters.mapValues { ReferenceTensor($0) }
            ).map(\.literal)
            let rounded = try Interpreter.run(
                graph, inputs: inputs.map { ReferenceTensor<Float>($0) },
                parameters: parameters.mapValues { ReferenceTensor($0) }
            ).map(\.literal)
            tolerances = zip(rounded, expected).map { 1e-4 + 8 * difference($0, $1) }
        }

        func run(_ graph: Graph, _ pool: ThreadPool, arena: Arena = Arena()) throws -> [Literal] {
            let executor = try Executor(graph, pool: pool, parameters: TestParameters(parameters), arena: arena)
            try executor.run(literals: inputs)
            let first = graph.outputs.indices.map { executor.output($0).literal }
            // A second run in the same memory must not see the first.
            try executor.run(literals: inputs)
            #expect(first == graph.outputs.indices.map { executor.output($0).literal })
            return first
        }
    }

    @Test(arguments: 0..<30) func runsTrainingStepsAsTheInterpreterDoes(seed: UInt64) throws {
        try expectAgreement(Case(seed), "seed \(seed)")
    }

    /// Odd channels, and channels that fill vectors.
    @Test(arguments: [(3, 7), (16, 6)]) func runsSupernetStepsAsTheInterpreterDoes(channels: Int, side: Int) throws {
        let step = try Case(SmallSupernet.step(channels: channels, side: side), 5)
        try expectAgreement(step, "\(channels) channels")
        let graph = try step.graph.applying(fuseNormalisation, chooseLayout(), lowerForExecution)
        let executor = try Executor(graph, pool: ThreadPool(threads: 2), parameters: TestParameters(step.parameters))
        #expect(executor.fallbacks.map { graph.nodes[$0].op.mnemonic } == [])
    }

    /// Odd channels, and those of which rows are taken eight pixels at a time.
    @Test(arguments: [(3, 7), (16, 10)]) func runsCellsAsTheInterpreterDoes(channels: Int, side: Int) throws {
        let step = try Case(SmallCell.network(channels: channels, side: side).withParameterGradients(), 6)
        let joined = try step.graph.applying(fuseNormalisation, joinChains)
        #expect(joined.nodes.contains { ($0.op as? NormalizedChainsGradient)?.convolutions.count == 4 })
        try expectAgreement(step, "\(channels) channels")
        let graph = try joined.applying(chooseLayout(), lowerForExecution)
        let executor = try Executor(graph, pool: ThreadPool(threads: 2), parameters: TestParameters(step.parameters))
        #expect(executor.fallbacks.map { graph.nodes[$0].op.mnemonic } == [])
    }

    /// Images so large that fused convolutions take them in bands: too slow for the interpreter, so against the other kernels.
    @Test(arguments: [1, 2]) func fusedKernelsAgreeWithTheOthersOnBands(threads: Int) throws {
        let graph = try SmallSupernet.step(channels: 24, side: 64), random = RandomSource(seed: 8)
        let inputs = RandomGraph.inputs(of: graph, random)
        let parameters = TestParameters(RandomGraph.parameters(of: graph, random)),
            pool = try ThreadPool(threads: threads)
        let graphs = [
            try graph.applying(chooseLayout(), lowerForExecution),
            try graph.applying(fuseNormalisation, chooseLayout(), lowerForExecution),
        ]
        let results = try graphs.map { graph in
            let executor = try Executor(graph, pool: pool, parameters: parameters)
            try executor.run(literals: inputs)
            return graph.outputs.indices.map { executor.output($0).literal }
        }
        for (index, pair) in zip(results[0], results[1]).enumerated() {
            #expect(difference(pair.1, pair.0) < 2e-3, "\(graph.outputNames[index])")
        }
    }

    /// Products of bf16 against the same products of rounded numbers in f32, on images that are taken in bands.
    @Test(arguments: [1, 2]) func productsInHalvesAreThoseOfRoundedOperands(stride: Int) throws {
        let convolution = Conv2D(kernel: 3, stride: stride), activation = NormalisedActivation(of: Relu())
        let image = TensorType.f32(3, 24, 65, 64), filter = TensorType.f32(16, 24, 3, 3), random = RandomSource(seed: 9)
        let result = try convolution.infer([image, filter])[0]
        let forward = NormalizedConv2D(
            convolution, normalizes: true, activation: activation, moments: false, precision: .bf16)
        var backward = NormalizedConv2DGradient()
        (backward.convolution, backward.precision, backward.activation) = (convolution, .bf16, activation)
        backward.normalizes = true
        let cases: [(op: any Operator, operands: [TensorType])] = [
            (forward, [image, filter, .f32(24), .f32(24)]), (backward, [result, image, filter, .f32(24), .f32(24)]),
        ]
        for (op, operands) in cases {
            var graphs: [Graph] = []
            for isFused in [true, false] {
                var g = GraphBuilder(name: op.mnemonic)
                let x = operands.enumerated().map { g.input("x\($0)", $1) }
                let results = isFused ? try g.appendAll(op, x) : try #require(try op.decompose(x, in: &g))
                graphs.append(try g.finish(outputs: results).applying(chooseLayout(), lowerForExecution))
            }
            let inputs = RandomGraph.inputs(of: graphs[0], random), pool = try ThreadPool(threads: 2)
            let found = try graphs.map { graph in
                let executor = try Executor(graph, pool: pool)
                try executor.run(literals: inputs)
                return graph.outputs.indices.map { executor.output($0).literal }
            }
            // A normalised number at a tie of the rounding may fall on either side.
            for (a, b) in zip(found[0], found[1]) { #expect(difference(a, b) < 1e-3, "\(op.mnemonic)") }
        }
    }

    private func expectAgreement(_ step: Case, _ name: String) throws {
        let one = try ThreadPool(threads: 1), two = try ThreadPool(threads: 2)
        for graph in [
            step.graph, try step.graph.applying(chooseLayout(), lowerForExecution),
            try step.graph.applying(fuseNormalisation, chooseLayout(), lowerForExecution),
            try step.graph.applying(fuseNormalisation, joinChains, chooseLayout(), lowerForExecution),
        ] {
            let single = try step.run(graph, one), double = try step.run(graph, two)
            for (index, expected) in step.expected.enumerated() {
                #expect(
                    difference(single[index], expected) < step.tolerances[index],
                    "\(name), \(graph.outputNames[index])\n\(graph)")
                #expect(
                    difference(double[index], expected) < step.tolerances[index],
                    "\(name), \(graph.outputNames[index])\n\(graph)")
            }
            // Bit for bit: the same number of threads, another pool and another place in memory.
            #expect(try step.run(graph, ThreadPool(threads: 2)) == double, "\(name)")
        }
    }

    @Test func executorsShareAnArena() throws {
        let pool = try ThreadPool(threads: 2), arena = Arena()
        for seed in 0..<8 as Range<UInt64> {
            let step = try Case(seed)
            #expect(try step.run(step.graph, pool, arena: arena) == step.run(step.graph, pool), "seed \(seed)")
        }
        // An executor that was there before the arena moved goes on.
        var g = GraphBuilder(name: "small")
        let x = g.input("x", .f32(4))
        let y = try g.append(Relu(), x)
        let small = try Executor(g.finish(outputs: [y]), pool: pool, arena: arena)
        try small.run(literals: [Literal([-1, 2, -3, 4] as [Float])])
        var h = GraphBuilder(name: "large")
        let z = h.input("x", .f32(1 << 16))
        let v = try h.append(Add(), z, z)
        let large = try Executor(h.finish(outputs: [v]), pool: pool, arena: arena)
        try large.run(literals: [Literal([Float](repeating: 1, count: 1 << 16))])
        try small.run(literals: [Literal([1, -2, 3, -4] as [Float])])
        #expect(small.output(0).floats == [1, 0, 3, 0])
        #expect(arena.bytes >= 1 << 18)
    }

    @Test func parametersAreReadInPlace() throws {
        var g = GraphBuilder(name: "scale")
        let x = g.input("x", .f32(2)), w = g.parameter("w", .f32(2))
        let y = try g.append(Multiply(), x, w)
        let parameters = TestParameters(["w": Literal([2, 3] as [Float])])
        let executor = try Executor(
            g.finish(outputs: [y], names: ["y"]), pool: ThreadPool(threads: 1), parameters: parameters)
        try executor.run(literals: [Literal([1, 1] as [Float])])
        #expect(executor.output(0).floats == [2, 3])
        parameters.memory(ofParameter: "w")?.storeBytes(of: 5, as: Float.self)
        try executor.run(literals: [Literal([1, 1] as [Float])])
        #expect(executor.output(named: "y")?.floats == [5, 3])
        #expect(executor.output(named: "z") == nil)
    }

    @Test func unalignedInputsAreStaged() throws {
        var g = GraphBuilder(name: "unaligned")
        let x = g.input("x", .f32(3))
        let y = try g.append(Add(), x, x)
        let executor = try Executor(g.finish(outputs: [y]), pool: ThreadPool(threads: 1))
        let values: [Float] = [0, 1, 2, 3]
        try values.withUnsafeBytes { bytes in try executor.run([UnsafeRawBufferPointer(rebasing: bytes[4...])]) }
        #expect(executor.output(0).floats == [2, 4, 6])
    }

    @Test func wrongUsesAreNamed() throws {
        var g = GraphBuilder(name: "scale")
        let x = g.input("x", .f32(2)), w = g.parameter("w", .f32(2))
        let y = try g.append(Multiply(), x, w)
        let graph = g.finish(outputs: [y]), pool = try ThreadPool(threads: 1)
        #expect(throws: ExecutionError(.parameter, "parameter \"w\" of graph scale is not in the storage")) {
            try Executor(graph, pool: pool)
        }
        #expect(
            throws: ExecutionError(.parameter, "parameter \"w\" is f32[2] (8 bytes), but the storage holds 12 bytes")
        ) {
            try Executor(graph, pool: pool, parameters: TestParameters(["w": Literal([1, 2, 3] as [Float])]))
        }
        let executor = try Executor(graph, pool: pool, parameters: TestParameters(["w": Literal([1, 2] as [Float])]))
        #expect(throws: ExecutionError(.input, "graph scale has 1 inputs, found 0")) { try executor.run() }
        #expect(throws: ExecutionError(.input, "graph scale expects an input f32[2], found f32[1]")) {
            try executor.run(literals: [Literal([1] as [Float])])
        }
        let values: [Float] = [1]
        #expect(throws: ExecutionError(.input, "input \"x\" of graph scale is f32[2] (8 bytes), found 4 bytes")) {
            try values.withUnsafeBytes { try executor.run([$0]) }
        }
        #expect(throws: ExecutionError.self) { try ThreadPool(threads: 0) }
    }

    @Test func tracesEveryNode() throws {
        let step = try Case(3)
        let executor = try Executor(
            step.graph, pool: ThreadPool(threads: 2), parameters: TestParameters(step.parameters))
        executor.measuresTimes = true
        try executor.run(literals: step.inputs)
        let times = executor.times
        #expect(times.count > step.graph.nodes.count / 2)
        #expect(zip(times, times.dropFirst()).allSatisfy { $0.start + $0.duration <= $1.start + 1 })
        var trace = ChromeTrace()
        trace.add(times, of: step.graph)
        let document = try #require(try JSONSerialization.jsonObject(with: Data(trace.json.utf8)) as? [String: Any])
        #expect((document["traceEvents"] as? [[String: Any]])?.count == times.count)
    }
}
