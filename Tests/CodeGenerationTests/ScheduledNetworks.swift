import IR
import Operators
import Passes

/// Small networks that between them reach every branch of the fast kernels' emitters.
struct ScheduledNetworks {
    private var random = RandomSource(seed: 11)

    static let all: [(name: String, graph: Graph)] = {
        var networks = ScheduledNetworks()
        return (try? networks.build()) ?? []
    }()

    private mutating func build() throws -> [(name: String, graph: Graph)] {
        var result: [(name: String, graph: Graph)] = []
        for (kernel, stride, size) in [(3, 1, 14), (3, 2, 15), (5, 1, 7), (5, 2, 12), (3, 1, 3), (7, 1, 9)] {
            result.append(("block\(kernel)s\(stride)x\(size)", try block(kernel: kernel, stride: stride, size: size)))
        }
        result.append(("stem", try stem()))
        result.append(("branches", try branches()))
        result.append(("parts", try parts()))
        result.append(("pooled", try pooled()))
        result.append(("excite", try excite()))
        for (inputs, outputs, size) in [(16, 32, 16), (24, 40, 7), (5, 17, 13), (32, 16, 28)] {
            result.append(
                ("dense\(inputs)to\(outputs)x\(size)", try dense(inputs: inputs, outputs: outputs, size: size)))
        }
        result.append(("strided", try strided()))
        result.append(("joined", try joined()))
        result.append(("pools", try pools()))
        result.append(("functions", try functions()))
        result.append(("vectors", try vectors()))
        result.append(("attention", try attention()))
        result.append(("added", try added()))
        result.append(("heads", try heads()))
        for (heads, rows) in [(1, 5), (3, 37)] {
            result.append(("transformer\(heads)x\(rows)", try transformer(heads: heads, rows: rows)))
        }
        return result
    }

    private mutating func constant(_ shape: [Int], _ scale: Double, _ g: inout GraphBuilder) -> Value {
        let count = shape.reduce(1, *)
        return g.constant(Literal(.f32, shape, reals: (0..<count).map { _ in scale * (2 * random.uniform() - 1) }))
    }

    private mutating func convolution(
        _ x: Value, _ outputs: Int, _ op: Conv2D, kernel: Int, _ g: inout GraphBuilder
    ) throws -> Value {
        let inputs = g.type(of: x).shape[1] / op.groups, scale = (3 / Double(inputs * kernel * kernel)).squareRoot()
        return try g.append(
            op, x, constant([outputs, inputs, kernel, kernel], scale, &g), constant([outputs], 0.5, &g))
    }

    private mutating func block(kernel: Int, stride: Int, size: Int) throws -> Graph {
        var g = GraphBuilder(name: "block")
        let x = try convolution(g.input("x", .f32(1, 6, size, size)), 20, Conv2D(), kernel: 1, &g)
        var y = try g.append(Clip(low: 0, high: 6), convolution(x, 40, Conv2D(), kernel: 1, &g))
        y = try g.append(
            HardSwish(), convolution(y, 40, Conv2D(kernel: kernel, stride: stride, groups: 40), kernel: kernel, &g))
        y = try convolution(y, 20, Conv2D(), kernel: 1, &g)
        if stride == 1 { y = try g.append(Add(), y, x) }
        return g.finish(outputs: [y])
    }

    /// Sums behind depthwise convolutions, which have no room for them.
    private mutating func added() throws -> Graph {
        var g = GraphBuilder(name: "added")
        let x = try convolution(g.input("x", .f32(1, 6, 11, 10)), 20, Conv2D(), kernel: 1, &g)
        let y = try g.append(Add(), convolution(x, 20, Conv2D(kernel: 3, groups: 20), kernel: 3, &g), x)
        let z = try g.append(
            Relu(), g.append(Add(), convolution(y, 20, Conv2D(kernel: 5, groups: 20), kernel: 5, &g), y))
        return g.finish(outputs: [z])
    }

    /// Rows and matrices of four dimensions, which are no images.
    private mutating func heads() throws -> Graph {
        var g = GraphBuilder(name: "heads")
        let q = g.input("q", .f32(1, 3, 19, 8)), k = g.input("k", .f32(1, 3, 8, 21))
        let weights = try g.append(Softmax(axis: -1), g.append(MatMul(), q, k))
        let y = try g.append(MatMul(), weights, constant([21, 17], 0.3, &g))
        let z = try g.append(LayerNorm(), y, constant([17], 1, &g), constant([17], 1, &g))
        return g.finish(outputs: [z])
    }

    private mutating func stem() throws -> Graph {
        var g = GraphBuilder(name: "stem")
        var y = try g.append(
            Relu(), convolution(g.input("x", .f32(1, 3, 22, 19)), 24, Conv2D(kernel: 3, stride: 2), kernel: 3, &g))
        y = try g.append(Relu(), convolution(y, 24, Conv2D(kernel: 3, groups: 24), kernel: 3, &g))
        let z = try convolution(y, 10, Conv2D(), kernel: 1, &g)
        let w = try g.append(
            Silu(), convolution(g.input("y", .f32(1, 1, 17, 23)), 17, Conv2D(kernel: 7, stride: 2), kernel: 7, &g))
        return g.finish(outputs: [z, w])
    }

    /// Two convolutions of the caller's image, and a sum with something that is no convolution.
    private mutating func branches() throws -> Graph {
        var g = GraphBuilder(name: "branches")
        let x = g.input("x", .f32(1, 3, 22, 19))
        let y = try convolution(x, 20, Conv2D(kernel: 3, stride: 2), kernel: 3, &g)
        let z = try g.append(Add(), y, convolution(x, 20, Conv2D(kernel: 1, stride: 2), kernel: 1, &g))
        let w = try g.append(
            Add(), convolution(x, 16, Conv2D(kernel: 3), kernel: 3, &g), g.input("y", .f32(1, 16, 22, 19)))
        let outputs = [try g.append(Gelu(), z), try g.append(Relu(), w)]
        return g.finish(outputs: outputs)
    }

    /// Rows of a matrix that are views, and a matrix whose rows are made in place.
    private mutating func parts() throws -> Graph {
        var g = GraphBuilder(name: "parts")
        let x = g.input("x", .f32(6, 32)), y = try g.append(MatMul(), x, constant([32, 64], 0.3, &g))
        let a = try g.append(Slice(axis: 0, start: 0, size: 4, of: [6, 64]), y)
        let b = try g.append(Slice(axis: 0, start: 4, size: 2, of: [6, 64]), y)
        let c = try g.append(MatMul(), g.append(Relu(), a), constant([64, 64], 0.3, &g))
        let d = try g.append(Concat(axis: 0), g.append(Softmax(axis: -1), b), c, c, a)
        let e = try g.append(Tanh(), d), inputRows = try g.append(Slice(axis: 0, start: 2, size: 4, of: [6, 32]), x)
        let outputs = [try g.append(Concat(axis: 0), e, d), b, try g.append(Concat(axis: 0), inputRows, x)]
        return g.finish(outputs: outputs)
    }

    private mutating func pooled() throws -> Graph {
        var g = GraphBuilder(name: "pooled")
        var outputs: [Value] = []
        for (name, size, padding) in [("x", 29, [1, 1, 1, 1]), ("y", 30, [0, 0, 0, 0]), ("z", 8, [1, 0, 1, 1])] {
            let y = try g.append(
                Relu(),
                convolution(g.input(name, .f32(1, 3, size, size + 2)), 20, Conv2D(kernel: 3, stride: 2), kernel: 3, &g))
            outputs.append(
                try g.append(MaxPool2D(Window(kernel: [3, 3], stride: [2, 2], padding: padding)), y))
        }
        return g.finish(outputs: outputs)
    }

    private mutating func excite() throws -> Graph {
        var g = GraphBuilder(name: "excite")
        let x = try g.append(Silu(), convolution(g.input("x", .f32(1, 8, 9, 9)), 24, Conv2D(), kernel: 1, &g))
        let y = try g.append(Silu(), convolution(x, 24, Conv2D(kernel: 5, stride: 2, groups: 24), kernel: 5, &g))
        var s = try g.append(ReduceMean(axes: [2, 3], keepsDimensions: true), y)
        s = try g.append(Relu(), convolution(s, 6, Conv2D(), kernel: 1, &g))
        s = try g.append(Sigmoid(), convolution(s, 24, Conv2D(), kernel: 1, &g))
        let z = try convolution(g.append(Multiply(), y, s), 12, Conv2D(), kernel: 1, &g)
        return g.finish(outputs: [z, s])
    }

    private mutating func dense(inputs: Int, outputs: Int, size: Int) throws -> Graph {
        var g = GraphBuilder(name: "dense")
        let x = try g.append(Relu(), convolution(g.input("x", .f32(1, 4, size, size)), inputs, Conv2D(), kernel: 1, &g))
        let y = try g.append(Relu(), convolution(x, outputs, Conv2D(kernel: 3), kernel: 3, &g))
        let r = try convolution(x, outputs, Conv2D(), kernel: 1, &g)
        let z = try g.append(Relu(), g.append(Add(), convolution(y, outputs, Conv2D(kernel: 3), kernel: 3, &g), r))
        return g.finish(outputs: [z])
    }

    private mutating func strided() throws -> Graph {
        var g = GraphBuilder(name: "strided")
        let x = try convolution(g.input("x", .f32(1, 5, 15, 13)), 20, Conv2D(), kernel: 1, &g)
        let a = try convolution(x, 18, Conv2D(kernel: 1, stride: 2), kernel: 1, &g)
        let b = try convolution(x, 18, Conv2D(kernel: 3, stride: 2), kernel: 3, &g)
        let c = try convolution(x, 9, Conv2D(kernel: 3, dilation: 2), kernel: 3, &g)
        let d = try convolution(x, 9, Conv2D(padding: [2, 1, 0, 1]), kernel: 4, &g)
        let e = try convolution(x, 20, Conv2D(kernel: 3, dilation: 2, groups: 20), kernel: 3, &g)
        let sum = try g.append(Add(), a, b)
        return g.finish(outputs: [sum, c, d, e])
    }

    private mutating func joined() throws -> Graph {
        var g = GraphBuilder(name: "joined")
        let x = try g.append(Relu(), convolution(g.input("x", .f32(1, 4, 11, 11)), 16, Conv2D(), kernel: 1, &g))
        let a = try g.append(Relu(), convolution(x, 32, Conv2D(), kernel: 1, &g))
        let b = try g.append(Relu(), convolution(x, 16, Conv2D(kernel: 3), kernel: 3, &g))
        let c = try g.append(Concat(axis: 1), a, b)
        let d = try g.append(Concat(axis: 1), c, x)
        let e = try convolution(c, 7, Conv2D(), kernel: 1, &g)
        return g.finish(outputs: [e, d])
    }

    private mutating func pools() throws -> Graph {
        var g = GraphBuilder(name: "pools")
        let x = try convolution(g.input("x", .f32(1, 4, 13, 12)), 20, Conv2D(), kernel: 1, &g)
        let window = Window(kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1])
        let a = try g.append(MaxPool2D(window), x), b = try g.append(AveragePool2D(window), x)
        let c = try g.append(AveragePool2D(window, countsPadding: true), x)
        let d = try g.append(ReduceMean(axes: [2, 3], keepsDimensions: true), x)
        let e = try g.append(ReduceMean(axes: [3, 2]), a)
        let sum = try g.append(Add(), a, b)
        return g.finish(outputs: [sum, c, d, e])
    }

    private mutating func functions() throws -> Graph {
        var g = GraphBuilder(name: "functions")
        var outputs: [Value] = []
        let x = try convolution(g.input("x", .f32(1, 3, 5, 6)), 18, Conv2D(), kernel: 1, &g)
        for function in [Gelu(), Tanh(), Sigmoid(), Silu(), HardSigmoid(slope: 0.2, offset: 0.5), HardSwish()]
            as [any Operator]
        {
            outputs += try g.appendAll(function, [convolution(x, 5, Conv2D(), kernel: 1, &g)])
        }
        return g.finish(outputs: outputs)
    }

    private mutating func vectors() throws -> Graph {
        var g = GraphBuilder(name: "vectors")
        let x = g.input("x", .f32(1, 37))
        var y = try g.append(Linear(), x, constant([50, 37], 0.3, &g), constant([50], 0.5, &g))
        y = try g.append(Gelu(), y)
        let z = try g.append(Linear(), y, constant([19, 50], 0.3, &g))
        let rows = g.input("rows", .f32(1, 21, 32))
        let w = try g.append(
            Relu(), g.append(Add(), g.append(MatMul(), rows, constant([32, 48], 0.3, &g)), constant([48], 0.5, &g)))
        let v = try g.append(MatMul(), w, constant([48, 21], 0.3, &g))
        return g.finish(outputs: [z, w, v])
    }

    private mutating func attention() throws -> Graph {
        var g = GraphBuilder(name: "attention")
        let q = g.input("q", .f32(2, 19, 16)), k = g.input("k", .f32(2, 19, 16)), v = g.input("v", .f32(2, 19, 16))
        let scores = try g.append(Softmax(), g.append(MatMul(transposesB: true), q, k))
        let even = try g.append(Softmax(), v)
        let mixed = try g.append(MatMul(), scores, v)
        return g.finish(outputs: [mixed, even])
    }

    /// A block as vision transformers have it, with its heads taken apart as exporters write it, and one token at the end.
    private mutating func transformer(heads: Int, rows: Int) throws -> Graph {
        var g = GraphBuilder(name: "transformer")
        let width = 16 * heads, x = g.input("x", .f32(1, rows, width)), factor = g.constant(0.5)
        let packed = try g.append(MatMul(), x, constant([width, 3 * width], 0.3, &g))
        let split = try g.append(Reshape([1, rows, 3, heads, 16]), packed)
        let parts = try g.append(Transpose([2, 0, 3, 1, 4]), split)
        var operands: [Value] = []
        for i in 0..<3 {
            let part = try g.append(Slice(axis: 0, start: i, size: 1, of: [3, 1, heads, rows, 16]), parts)
            operands.append(try g.append(Reshape([1, heads, rows, 16]), part))
        }
        let query = try g.append(Multiply(), operands[0], factor)
        let key = try g.append(Multiply(), g.append(Transpose([0, 1, 3, 2]), operands[1]), factor)
        let weights = try g.append(Softmax(), g.append(MatMul(), query, key))
        let swapped = try g.append(Transpose([0, 2, 1, 3]), g.append(MatMul(), weights, operands[2]))
        let mixed = try g.append(Reshape([1, rows, width]), swapped)
        let projected = try g.append(MatMul(), mixed, constant([width, width], 0.3, &g))
        let sum = try g.append(Add(), projected, x)
        let norm = try g.append(LayerNorm(), sum, constant([width], 1, &g), constant([width], 1, &g))
        let token = try g.append(Slice(axis: 1, start: 0, size: 1, of: [1, rows, width]), norm)
        let all = try g.append(Tanh(), mixed)
        return g.finish(outputs: [token, all])
    }
}
