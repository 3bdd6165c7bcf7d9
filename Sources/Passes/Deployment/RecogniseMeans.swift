import IR
import Operators

/// Turns the average over a window as large as the image into the mean over its pixels.
///
/// Runs before epilogues are fused; the kernels sum a convolution's channels while they write them. Without it graphs stay
/// right, only slower.
///
///     %1 = average_pool2d %x {window = {kernel = [7, 7]}}  →  %1 = reduce_mean %x {axes = [2, 3], keepsDimensions = true}
public let recogniseMeans = Pass("recognise-means") { graph throws(PassError) in
    try graph.rewritten { node, operands, g throws(PassError) in
        guard let op = node.op as? AveragePool2D else { return nil }
        let x = graph.type(of: node.operands[0]), y = graph.type(of: node.results[0])
        guard x.layout == .plain, y.layout == .plain, y.shape.suffix(2) == [1, 1], op.excess == [0, 0],
            op.window.kernel == Array(x.shape.suffix(2)), op.window.dilation == [1, 1],
            op.window.padding.allSatisfy({ $0 == 0 })
        else { return nil }
        return try rewriting { () throws(ShapeError) in
            [try g.append(ReduceMean(axes: [2, 3], keepsDimensions: true), operands[0], name: node.name)]
        }
    }
}
