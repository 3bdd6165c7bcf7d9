import CodeGeneration
import Foundation
import IR
import Operators
import Passes
import TestSupport
import Testing

/// The fast kernels against the interpreter, for every vector width, as vectors and as plain C.
@Suite struct ScheduleTests {
    static let units: [(name: String, unit: VectorUnit)] = [
        ("v16", .avx512), ("v8", .avx2), ("v4", .neon),
        ("few", VectorUnit(lanes: 4, registers: 8, l1: 4 << 10, l2: 16 << 10)),
        ("v1", VectorUnit(lanes: 1, registers: 32, l2: 32 << 10)),
    ]

    static func cases(_ names: [String], exact: Bool) throws -> [TestProgram] {
        var cases: [TestProgram] = []
        for (name, graph) in ScheduledNetworks.all {
            let deployed = try Pipeline.deployment().run(graph)
            var random = RandomSource(seed: 3).fork(name)
            let inputs = graph.types(of: graph.inputs).map { type in
                Literal(type.element, type.shape, reals: (0..<type.count).map { _ in 4 * random.uniform() - 2 })
            }
            let outputs = try Interpreter.run(graph, inputs: inputs.map { ReferenceTensor<Double>($0) }).map(\.literal)
            for (label, unit) in units where names.contains(label) {
                let scheduled = try Pipeline.schedule(for: unit, exact: exact).run(deployed)
                let full = "\(name)_\(label)"
                cases.append(
                    TestProgram(
                        name: full, program: try CProgram(scheduled, options: COptions(name: full)),
                        test: TestVector(inputs: inputs, outputs: outputs)))
            }
        }
        return cases
    }

    @Test(arguments: [
        (["gcc", "-O1", "-march=native", "-ffp-contract=fast"], ["v16", "v8"]),
        (["gcc", "-O1", "-DMARTLET_PLAIN_C"], ["v16", "v1"]),
        (
            ["clang", "-O1", "-march=native", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
            ["v4", "few", "v1"]
        ),
    ])
    func emittedKernelsEqualTheDefinition(compiler: [String], units: [String]) throws {
        let exact = units.contains("few")
        let cases = try Self.cases(units, exact: exact)
        #expect(cases.count == ScheduledNetworks.all.count * units.count && cases.count > 15)
        for (item, found) in zip(cases, try TestProgram.run(cases, compiler: compiler)) {
            for (found, expected) in zip(found, item.test.outputs) {
                // Sums of up to a thousand terms; Winograd's transforms round a little more.
                let error = difference(found, expected)
                #expect(error < (exact ? 3e-6 : 2e-5), "\(item.name): \(error)")
            }
        }
    }

    @Test func everyHeavyOperatorHasAFastKernel() throws {
        for (name, graph) in ScheduledNetworks.all {
            let scheduled = try Pipeline.schedule(for: .avx512).run(try Pipeline.deployment().run(graph))
            for node in scheduled.nodes {
                let macs = node.op.macs(scheduled.types(of: node.operands), scheduled.types(of: node.results)) ?? 1
                if macs > 0 { #expect(node.schedule["kernel"] != nil, "\(name): \(node.op.mnemonic)") }
            }
        }
    }

    /// `exact` leaves plain sums: it takes Winograd's transforms out, and nothing else.
    @Test func exactSchedulesHaveNoTransforms() throws {
        let graph = try #require(ScheduledNetworks.all.first { $0.name == "dense16to32x16" }).graph
        let deployed = try Pipeline.deployment().run(graph)
        func text(exact: Bool) throws -> String {
            try Pipeline.schedule(for: .avx512, exact: exact).run(deployed).description
        }
        let fast = try text(exact: false), exact = try text(exact: true)
        #expect(fast.contains("winograd = 4"))
        #expect(exact == fast.replacingOccurrences(of: "winograd = 4", with: "winograd = 0"))
    }

    @Test func blocksAreFusedAndPrinted() throws {
        let graph = try #require(ScheduledNetworks.all.first { $0.name == "block3s1x14" }).graph
        let scheduled = try Pipeline.schedule(for: .avx512).run(try Pipeline.deployment().run(graph))
        let chains = scheduled.nodes.compactMap { $0.op as? ConvolutionChain }
        #expect(chains.map(\.stages.count) == [1, 3])
        #expect(chains[1].residual)
        #expect(scheduled.description.contains("band = 14"))
        // The schedule survives the text form.
        #expect(try Graph(parsing: scheduled.description) == scheduled)
        // Scheduling changes no meaning.
        #expect(try meaningDifference(graph, scheduled) < 1e-12)
    }

    @Test func attentionIsFusedWhateverItsViews() throws {
        for name in ["transformer1x5", "transformer3x37"] {
            let graph = try #require(ScheduledNetworks.all.first { $0.name == name }).graph
            let scheduled = try Pipeline.schedule(for: .avx512).run(try Pipeline.deployment().run(graph))
            #expect(scheduled.nodes.contains { $0.op is Attention })
            #expect(!scheduled.nodes.contains { $0.op is Softmax || $0.op is Transpose })
            #expect(try meaningDifference(graph, scheduled) < 1e-12)
        }
    }
}
