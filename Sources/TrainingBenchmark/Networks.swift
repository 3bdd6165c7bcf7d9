import IR
import Operators

/// The networks of the comparison, with their loss.
enum ReferenceNetwork {
    /// - Source: Sandler et al., *MobileNetV2*, CVPR 2018, table 2.
    static func mobileNetV2(batch: Int, side: Int) throws(ShapeError) -> Graph {
        var b = LayerBuilder("mobilenet")
        var x = b.g.input("image", .f32(batch, 3, side, side))
        x = try b.relu6(b.norm(b.convolution(x, 32, kernel: 3, stride: 2)))
        let stages = [
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ]
        for (expansion, width, depth, stride) in stages {
            for index in 0..<depth {
                let input = x, inner = b.channels(x) * expansion, step = index == 0 ? stride : 1
                if expansion > 1 { x = try b.relu6(b.norm(b.convolution(x, inner, kernel: 1))) }
                x = try b.relu6(b.norm(b.convolution(x, inner, kernel: 3, stride: step, groups: inner)))
                x = try b.norm(b.convolution(x, width, kernel: 1))
                if step == 1 && b.channels(input) == width { x = try b.add(input, x) }
            }
        }
        x = try b.relu6(b.norm(b.convolution(x, 1280, kernel: 1)))
        return try b.loss(x)
    }

    /// The supernet of NAS-Bench-201, every edge a mixture of its five operators.
    ///
    /// - Source: Dong and Yang, *NAS-Bench-201*, ICLR 2020, figure 1.
    static func nasBench201(batch: Int, side: Int, width: Int = 16, cells: Int = 5) throws(ShapeError) -> Graph {
        var b = LayerBuilder("nb201")
        var x = b.g.input("image", .f32(batch, 3, side, side))
        let weights = try b.mixtures("alpha", rows: 6, columns: 5)
        x = try b.norm(b.convolution(x, width, kernel: 3))
        for stage in 0..<3 {
            let c = width << stage
            if stage > 0 {
                let a = try b.norm(b.convolution(b.relu(x), c, kernel: 3, stride: 2))
                let inner = try b.norm(b.convolution(b.relu(a), c, kernel: 3))
                let half = try b.g.append(
                    AveragePool2D(Window(kernel: [2, 2], stride: [2, 2])), x, name: "half\(stage)")
                x = try b.add(b.convolution(half, c, kernel: 1), inner)
            }
            for _ in 0..<cells {
                var nodes = [x], edge = 0
                for node in 1..<4 {
                    var terms: [Value] = []
                    for from in 0..<node {
                        let source = nodes[from]
                        let alternatives: [Value?] = [
                            nil, source, try b.norm(b.convolution(b.relu(source), c, kernel: 1), affine: false),
                            try b.norm(b.convolution(b.relu(source), c, kernel: 3), affine: false),
                            try b.averagePool(source),
                        ]
                        terms.append(try b.mixture(weights[edge], alternatives))
                        edge += 1
                    }
                    nodes.append(try b.sum(terms))
                }
                x = nodes[3]
            }
        }
        return try b.loss(b.relu(b.norm(x)))
    }

    /// The supernet of DARTS, every edge a mixture of its eight operators.
    ///
    /// - Source: Liu, Simonyan, Yang, *DARTS*, ICLR 2019, section 3.1.
    static func darts(batch: Int, side: Int, width: Int = 16, cells: Int = 8) throws(ShapeError) -> Graph {
        var b = LayerBuilder("darts")
        let image = b.g.input("image", .f32(batch, 3, side, side))
        let weights = [
            try b.mixtures("alpha.normal", rows: 14, columns: 8), try b.mixtures("alpha.reduce", rows: 14, columns: 8),
        ]
        let stem = try b.norm(b.convolution(image, 3 * width, kernel: 3))
        var (before, last, c, wasReduced) = (stem, stem, width, false)
        for cell in 0..<cells {
            let reduces = cell == cells / 3 || cell == 2 * cells / 3
            if reduces { c *= 2 }
            let first = wasReduced ? try b.reduction(before, c) : try b.pointwise(before, c)
            var nodes = [first, try b.pointwise(last, c)], edge = 0
            for node in 2..<6 {
                var terms: [Value] = []
                for from in 0..<node {
                    let stride = reduces && from < 2 ? 2 : 1
                    terms.append(
                        try b.mixture(
                            weights[reduces ? 1 : 0][edge], b.dartsOperators(nodes[from], stride: stride)))
                    edge += 1
                }
                nodes.append(try b.sum(terms))
            }
            let joined = try b.g.appendAll(Concat(axis: 1), Array(nodes[2...]), name: "cell\(cell)")[0]
            (before, last, wasReduced) = (last, joined, reduces)
        }
        return try b.loss(last)
    }
}

extension LayerBuilder {
    fileprivate mutating func pointwise(_ x: Value, _ width: Int) throws(ShapeError) -> Value {
        try norm(convolution(relu(x), width, kernel: 1), affine: false)
    }

    /// Halves the size by two 1 x 1 convolutions, one of them on the image less its first row and column.
    fileprivate mutating func reduction(_ x: Value, _ width: Int) throws(ShapeError) -> Value {
        let rectified = try relu(x), shape = g.type(of: x).shape
        let shifted = try g.append(
            Slice(starts: [0, 0, 1, 1], sizes: [shape[0], shape[1], shape[2] - 1, shape[3] - 1]), rectified)
        let halves = [
            try convolution(rectified, width / 2, kernel: 1, stride: 2),
            try convolution(shifted, width / 2, kernel: 1, stride: 2),
        ]
        return try norm(g.appendAll(Concat(axis: 1), halves)[0], affine: false)
    }

    private mutating func separable(_ x: Value, kernel: Int, stride: Int, dilation: Int = 1) throws(ShapeError) -> Value
    {
        let c = channels(x)
        let filtered = try convolution(
            relu(x), c, kernel: kernel, stride: stride, dilation: dilation, groups: c)
        return try norm(convolution(filtered, c, kernel: 1), affine: false)
    }

    fileprivate mutating func dartsOperators(_ x: Value, stride: Int) throws(ShapeError) -> [Value?] {
        let c = channels(x)
        return [
            nil, try norm(maxPool(x, stride: stride), affine: false),
            try norm(averagePool(x, stride: stride), affine: false), stride == 1 ? x : try reduction(x, c),
            try separable(separable(x, kernel: 3, stride: stride), kernel: 3, stride: 1),
            try separable(separable(x, kernel: 5, stride: stride), kernel: 5, stride: 1),
            try separable(x, kernel: 3, stride: stride, dilation: 2),
            try separable(x, kernel: 5, stride: stride, dilation: 2),
        ]
    }
}
