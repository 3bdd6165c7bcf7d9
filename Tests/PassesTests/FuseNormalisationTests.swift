import IR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct FuseNormalisationTests {
    @Test(arguments: [1, 3, 16]) func keepsTheMeaningOfSupernets(channels: Int) throws {
        let step = try SmallSupernet.step(channels: channels), fused = try step.applying(fuseNormalisation)
        // Reals in double: the fused coefficients round in another order.
        #expect(try meaningDifference(step, fused) < 1e-9, "\(fused)")
        #expect(try fused.applying(fuseNormalisation).description == fused.description)
        let kinds = Set(fused.nodes.map(\.op.mnemonic))
        for gone in ["batch_norm", "batch_norm_gradient", "weighted_sum", "weighted_sum_dots"] {
            #expect(!kinds.contains(gone), "\(gone)")
        }
        #expect(try Graph(parsing: fused.description) == fused)
        // Every convolution with a normalisation behind it sums its moments, all but the pools' need no pass of their own.
        #expect(fused.nodes.count { $0.op is ChannelMoments } == 2)
        #expect(fused.nodes.count { ($0.op as? NormalizedConv2DGradient)?.wantsSums == true } == 2)
    }

    /// Pools of one image in several mixtures are taken once, and so are their gradients, of the weighted sum.
    @Test func sharesWhatSeveralMixturesNormalise() throws {
        let step = try SmallCell.network(channels: 3, side: 9).withParameterGradients()
        #expect(step.nodes.count { $0.op is MaxPool2D } == 1 && step.nodes.count { $0.op is MaxPool2DGradient } == 1)
        let fused = try step.applying(fuseNormalisation)
        #expect(try meaningDifference(step, fused) < 1e-9, "\(fused)")
        #expect(try Graph(parsing: fused.description) == fused)
        let shared = fused.nodes.compactMap { $0.op as? BatchNormGradientScale }.filter { $0.parts.count == 2 }
        #expect(shared.count == 2)
        // The products of both gradients with the pools are those of the mixtures; the third pass is of the stem's gradient.
        #expect(fused.nodes.count { $0.op is NormalizedDots } == 3)
    }

    @Test func joinsSeparableConvolutionsOfOneImage() throws {
        let step = try SmallCell.network(channels: 3, side: 9).withParameterGradients(),
            fused = try step.applying(fuseNormalisation)
        let joined = try fused.applying(joinChains)
        #expect(try meaningDifference(step, joined) < 1e-9, "\(joined)")
        #expect(try Graph(parsing: joined.description) == joined)
        #expect(try joined.applying(joinChains).description == joined.description)
        #expect(joined.outputNames == step.outputNames)
        func counts(_ graph: Graph) -> (forward: [Int], backward: [Int]) {
            (
                graph.nodes.compactMap { ($0.op as? NormalizedChains)?.convolutions.count },
                graph.nodes.compactMap { ($0.op as? NormalizedChainsGradient)?.convolutions.count }
            )
        }
        #expect(counts(fused) == ([1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]))
        // The second half of each edge's separable convolution stands alone.
        #expect(counts(joined) == ([4, 1, 1], [1, 1, 4]))
        #expect(joined.nodes.count < fused.nodes.count)
    }

    @Test func secondDerivativesAreThoseOfTheDecomposition() throws {
        var g = GraphBuilder(name: "second")
        let x = g.input("x", .f32(3, 2, 3, 3)), w = g.input("w", .f32(2, 2, 1, 1))
        let y = try g.appendAll(BatchNorm(), [g.append(Conv2D(kernel: 1), x, w)])[0]
        let loss = try g.append(ReduceSum(), g.append(Power(), y, g.constant(3)))
        let first = try g.gradients(of: [loss], wrt: [w])[0]!
        let norm = try g.append(ReduceSum(), g.append(Multiply(), first, first))
        let step = g.finish(outputs: [norm])
        let fused = try step.applying(fuseNormalisation)
        #expect(fused.nodes.contains { $0.op is NormalizedConv2D })
        func gradient(_ graph: Graph) throws -> Graph {
            var g = GraphBuilder(name: "gradient")
            let inputs = zip(graph.inputs, graph.inputNames).map { g.input($1, graph.type(of: $0)) }
            let result = g.inline(graph, inputs: inputs)
            let found = try g.gradients(of: result, wrt: inputs)
            return g.finish(outputs: found.compactMap { $0 })
        }
        #expect(try meaningDifference(gradient(step), gradient(fused)) < 1e-8)
    }
}
