public import IR
import Operators

/// Two edges from one image, each a mixture of pools, the image itself, and separable convolutions of one and of two halves.
public enum SmallCell {
    public static func network(channels c: Int, side: Int) throws -> Graph {
        var g = GraphBuilder(name: "cell")
        let x = g.input("x", .f32(3, c, side, side - 1))
        var count = 0
        func separable(_ x: Value, _ op: Conv2D, _ size: Int) throws(ShapeError) -> Value {
            count += 1
            let depthwise = try g.append(op, g.append(Relu(), x), g.parameter("d\(count)", .f32(c, 1, size, size)))
            let y = try g.append(Conv2D(), depthwise, g.parameter("p\(count)", .f32(c, c, 1, 1)))
            return try g.appendAll(BatchNorm(), [y])[0]
        }
        let weights = try g.append(Softmax(), g.parameter("alpha", .f32(2, 5)))
        let stem = try g.appendAll(
            BatchNorm(), [g.append(Conv2D(kernel: 3), x, g.parameter("stem", .f32(c, c, 3, 3)))])[0]
        // A sum, as the states of cells are.
        let state = try g.append(Add(), stem, g.append(Multiply(), stem, stem))
        let window = Window(kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1])
        var edges: [Value] = []
        for row in 0..<2 {
            let w = try g.append(Reshape([5]), g.append(Slice(starts: [row, 0], sizes: [1, 5]), weights))
            let values = [
                try g.appendAll(BatchNorm(), [g.append(MaxPool2D(window), state)])[0],
                try g.appendAll(BatchNorm(), [g.append(AveragePool2D(window), state)])[0], state,
                try separable(state, Conv2D(kernel: 5, dilation: 2, groups: c), 5),
                try separable(
                    separable(state, Conv2D(kernel: 3, groups: c), 3), Conv2D(kernel: 3, groups: c), 3),
            ]
            edges.append(try g.appendAll(WeightedSum(), [w] + values)[0])
        }
        // Of different powers, so that the gradients of the edges differ by more than a factor.
        let loss = try g.append(
            Add(), g.append(ReduceMean(), g.append(Multiply(), edges[0], edges[0])),
            g.append(ReduceMean(), g.append(Power(), edges[1], g.constant(3))))
        return g.finish(outputs: [loss], names: ["loss"])
    }
}
