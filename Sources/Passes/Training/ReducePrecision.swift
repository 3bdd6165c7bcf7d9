import IR
import Operators

/// Lets fused convolutions multiply in `bf16`, in both directions, where that has kernels. Sums, parameters and everything
/// else stay `f32`.
///
/// Runs on a training step, after normalisations are fused. Optional, and the only pass that changes results: products
/// are of operands that are rounded to 8 bits.
///
///     %1 = normalized_conv2d %x, %w  →  %1 = normalized_conv2d %x, %w {precision = "bf16"}
public let reducePrecision = Pass("reduce-precision") { graph throws(PassError) in
    do throws(ShapeError) {
        return try graph.rewritten { node, operands, g throws(ShapeError) in
            let x = graph.types(of: node.operands)
            if var op = node.op as? NormalizedConv2D, op.precision == .f32, op.convolution.rounds(x[1]) {
                op.precision = .bf16
                return try g.appendAll(op, operands, name: node.name)
            }
            if var op = node.op as? NormalizedConv2DGradient, op.precision == .f32, op.convolution.rounds(x[2]) {
                op.precision = .bf16
                return try g.appendAll(op, operands, name: node.name)
            }
            return nil
        }
    } catch {
        throw PassError(error)
    }
}
