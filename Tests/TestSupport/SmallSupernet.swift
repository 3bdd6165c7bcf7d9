public import IR
import Operators
import Passes

/// A supernet in small: an inverted residual block, then mixtures of all kinds of operators whose sum two readers share.
public enum SmallSupernet {
    public static func step(channels c: Int, side: Int = 7) throws -> Graph {
        var g = GraphBuilder(name: "supernet\(c)")
        var count = 0
        func convolution(_ x: Value, _ k: Int, _ op: Conv2D, size: Int) throws(ShapeError) -> Value {
            count += 1
            let w = g.parameter("w\(count)", .f32(k, g.type(of: x).shape[1] / op.groups, size, size))
            return try g.append(op, x, w)
        }
        func norm(_ x: Value, affine: Bool = false) throws(ShapeError) -> Value {
            count += 1
            let k = g.type(of: x).shape[1]
            let own = affine ? [g.parameter("scale\(count)", .f32(k)), g.parameter("bias\(count)", .f32(k))] : []
            return try g.appendAll(BatchNorm(), [x] + own, name: "norm\(count)")[0]
        }
        let image = g.input("x", .f32(3, 3, side, side))
        let stem = try norm(convolution(image, c, Conv2D(kernel: 3), size: 3), affine: true)
        let wide = try g.append(
            Clip(low: 0, high: 0.5), norm(convolution(stem, 2 * c, Conv2D(kernel: 1), size: 1), affine: true))
        let deep = try g.append(
            HardSwish(), norm(convolution(wide, 2 * c, Conv2D(kernel: 3, groups: 2 * c), size: 3), affine: true))
        let block = try g.append(Add(), stem, norm(convolution(deep, c, Conv2D(kernel: 1), size: 1), affine: true))
        let alpha = g.parameter("alpha", .f32(2, 8))
        let weights = try g.append(Softmax(), alpha)
        let window = Window(kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1])
        func mixture(_ x: Value, _ row: Int) throws(ShapeError) -> Value {
            let w = try g.append(Reshape([8]), g.append(Slice(starts: [row, 0], sizes: [1, 8]), weights))
            let zero = try g.append(BroadcastTo(g.type(of: x).shape), g.constant(0))
            let rectified = try g.append(Relu(), x)
            let separable = try convolution(
                convolution(g.append(Relu(), x), c, Conv2D(kernel: 5, dilation: 2, groups: c), size: 5), c,
                Conv2D(kernel: 1),
                size: 1)
            let values = [
                zero, x, try norm(convolution(g.append(Relu(), x), c, Conv2D(kernel: 1), size: 1)),
                try norm(convolution(g.append(Relu(), x), c, Conv2D(kernel: 3), size: 3)),
                try g.append(AveragePool2D(window), x), try norm(g.append(MaxPool2D(window), x)), try norm(separable),
                // The rectified image is shared.
                try g.append(Add(), rectified, convolution(rectified, c, Conv2D(kernel: 3), size: 3)),
            ]
            return try g.appendAll(WeightedSum(), [w] + values)[0]
        }
        let sum = try g.append(Add(), mixture(block, 0), mixture(stem, 1))
        let half = try norm(convolution(g.append(Relu(), sum), 2 * c, Conv2D(kernel: 3, stride: 2), size: 3))
        let pooled = try g.append(ReduceMean(axes: [2, 3]), g.append(Relu(), half))
        let rest = try g.append(ReduceMean(axes: [2, 3]), g.append(Multiply(), sum, sum))
        let loss = try g.append(
            Add(), g.append(ReduceSum(), g.append(Multiply(), pooled, pooled)), g.append(ReduceMean(), rest))
        let network = g.finish(outputs: [loss], names: ["loss"])
        var step = GraphBuilder(name: network.name)
        let x = step.input("x", network.type(of: network.inputs[0]))
        let result = step.inline(network, inputs: [x])
        let parameters = step.graph.parameters
        let gradients = try step.gradients(of: result, wrt: parameters.map(\.value))
        let found = zip(parameters, gradients).compactMap { parameter, gradient in gradient.map { (parameter.name, $0) }
        }
        return step.finish(outputs: result + found.map(\.1), names: ["loss"] + found.map(\.0)).pruned()
    }
}
