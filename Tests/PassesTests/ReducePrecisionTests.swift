import IR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct ReducePrecisionTests {
    @Test func marksDenseConvolutionsInBothDirections() throws {
        let fused = try SmallSupernet.step(channels: 4).applying(fuseNormalisation)
        let reduced = try fused.applying(reducePrecision)
        #expect(try reduced.applying(reducePrecision).description == reduced.description)
        #expect(try Graph(parsing: reduced.description) == reduced)
        var marked = 0
        for node in reduced.nodes {
            let (filter, precision): (Value, ElementType)
            switch node.op {
            case let op as NormalizedConv2D: (filter, precision) = (node.operands[1], op.precision)
            case let op as NormalizedConv2DGradient:
                (filter, precision) = (node.operands[2], op.precision)
            default: continue
            }
            let shape = reduced.type(of: filter).shape
            // The image has three channels, a depthwise filter one.
            let isPaired = shape[0].isMultiple(of: 2) && shape[1].isMultiple(of: 2)
            #expect((precision == .bf16) == isPaired, "\(node.op) \(shape)")
            marked += isPaired ? 1 : 0
        }
        #expect(marked >= 10)
        // Only the precision differs.
        #expect(reduced.nodes.count == fused.nodes.count)
        #expect(reduced.description.contains("precision = \"bf16\""))
    }

    @Test func changesResultsByTheRoundingOfOperandsAlone() throws {
        let fused = try SmallSupernet.step(channels: 4).applying(fuseNormalisation)
        let found = try meaningDifference(fused, try fused.applying(reducePrecision))
        // An operand keeps 8 bits; a few layers and divisions by deviations follow.
        #expect(found > 1e-5 && found < 0.1, "\(found)")
    }

    @Test func leavesOddChannelsAlone() throws {
        let fused = try SmallSupernet.step(channels: 3).applying(fuseNormalisation)
        let reduced = try fused.applying(reducePrecision)
        let marked = reduced.nodes.compactMap { $0.op as? NormalizedConv2D }.filter { $0.precision == .bf16 }
        #expect(marked.isEmpty)
    }
}
