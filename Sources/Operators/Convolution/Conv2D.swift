import CKernels
import IR

/// 2-D cross-correlation, as in ONNX's `Conv`.
///
/// - Shapes: `x: [N, C, H, W], w: [K, C/g, R, S], b: [K] (optional) → y: [N, K, H', W']`.
/// - Throws: ``ShapeError`` when channels, groups and filter do not fit.
public struct Conv2D: Operator {
    public static let mnemonic = "conv2d"
    public var stride = [1, 1]
    public var dilation = [1, 1]
    public var padding = [0, 0, 0, 0]
    public var groups = 1

    public init() {}
    public init(stride: [Int] = [1, 1], dilation: [Int] = [1, 1], padding: [Int] = [0, 0, 0, 0], groups: Int = 1) {
        self.stride = stride
        self.dilation = dilation
        self.padding = padding
        self.groups = groups
    }
    /// A convolution whose result has the size of its image divided by the stride.
    public init(kernel: Int, stride: Int = 1, dilation: Int = 1, groups: Int = 1) {
        let pad = dilation * (kernel / 2)
        self.init(
            stride: [stride, stride], dilation: [dilation, dilation], padding: [pad, pad, pad, pad], groups: groups)
    }

    public func window(_ filter: TensorType) -> Window {
        Window(kernel: Array(filter.shape.suffix(2)), stride: stride, dilation: dilation, padding: padding)
    }
    public var layoutRule: LayoutRule { .images(operands: [0], results: [0]) }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        guard x.count == 2 || x.count == 3 else { throw ShapeError("conv2d expects 2 or 3 operands, found \(x.count)") }
        let image = try x[0].requireFloat(for: self).require(rank: 4, for: self),
            filter = try x[1].require(rank: 4, for: self)
        guard groups > 0, image.shape[1] % groups == 0, filter.shape[0] % groups == 0,
            image.shape[1] / groups == filter.shape[1]
        else {
            throw ShapeError(
                "conv2d: the filter \(filter) expects \(filter.shape[1] * groups) input channels, but \(image) has \(image.shape[1]) (groups = \(groups))"
            )
        }
        guard x.count == 2 || x[2].shape == [filter.shape[0]] else {
            throw ShapeError("conv2d: the bias should be [\(filter.shape[0])], found \(x[2])")
        }
        let size = try window(filter).output(Array(image.shape[2...]), for: self)
        return [image.with(shape: [image.shape[0], filter.shape[0]] + size)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let image = x[0].reals, filter = x[1].reals, bias = x.count == 3 ? x[2].reals : nil
        let n = Loops(x[0].shape, x[1].shape, y[0].shape, groups)
        var result = [R](repeating: 0, count: y[0].count)
        n.forEach(window(x[1].type)) { out, image_, tap in result[out] += image[image_] * filter[tap] }
        if let bias { for i in result.indices { result[i] += bias[i / (n.oh * n.ow) % n.k] } }
        return [ReferenceTensor(y[0], result)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return p.operands.map { _ in nil } }
        let (x, w) = (p.operands[0], p.operands[1])
        let dx = p.needed[0] ? try g.append(Conv2DInputGradient(self, image: g.type(of: x).shape), dy, w) : nil
        let dw = p.needed[1] ? try g.append(Conv2DFilterGradient(self, filter: g.type(of: w).shape), dy, x) : nil
        guard p.operands.count == 3 else { return [dx, dw] }
        return [dx, dw, p.needed[2] ? try g.append(ReduceSum(axes: [0, 2, 3]), dy) : nil]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { y[0].count * x[1].shape[1...].reduce(1, *) }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        kernelIntegers(image: x[0], filter: x[1], output: y[0], hasBias: x.count == 3).map {
            KernelCall(martlet_conv2d, integers: $0, phases: 2) { martlet_conv2d_scratch($0, Int32($1)) }
        }
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let n = Loops(x[0].shape, x[1].shape, y[0].shape, groups), w = window(x[1])
        let (type, m) = (x[0].element.cType, CMath(x[0].element))
        let rows = w.padding[0] > 0 || w.padding[2] > 0, columns = w.padding[1] > 0 || w.padding[3] > 0
        let skipRow = rows ? "if (h < 0 || h >= \(n.h)) continue;\n                            " : ""
        let skipColumn = columns ? "if (w < 0 || w >= \(n.w)) continue;\n                                " : ""
        return CBody(
            """
            for (ptrdiff_t n = 0; n < \(n.n); ++n)
                for (ptrdiff_t k = 0; k < \(n.k); ++k)
                    for (ptrdiff_t i = 0; i < \(n.oh); ++i)
                        for (ptrdiff_t j = 0; j < \(n.ow); ++j) {
                            \(type) sum = \(x.count == 3 ? "x2[k]" : m.literal(0));
                            for (ptrdiff_t c = 0; c < \(n.cg); ++c)
                            for (ptrdiff_t r = 0; r < \(n.r); ++r) {
                                const ptrdiff_t h = i * \(w.stride[0]) + r * \(w.dilation[0]) - \(w.padding[0]);
                                \(skipRow)for (ptrdiff_t s = 0; s < \(n.s); ++s) {
                                    const ptrdiff_t w = j * \(w.stride[1]) + s * \(w.dilation[1]) - \(w.padding[1]);
                                    \(skipColumn)sum += x0[((n * \(n.c) + k / \(n.kg) * \(n.cg) + c) * \(n.h) + h) * \(n.w) + w] * x1[((k * \(n.cg) + c) * \(n.r) + r) * \(n.s) + s];
                                }
                            }
                            y0[((n * \(n.k) + k) * \(n.oh) + i) * \(n.ow) + j] = sum;
                        }

            """)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm(
            "Conv", since: 11,
            attributes: [
                ("kernel_shape", .ints(Array(x[1].shape.suffix(2)))), ("strides", .ints(stride)),
                ("dilations", .ints(dilation)),
                ("pads", .ints(padding)), ("group", .int(groups)),
            ])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Conv", refuses: "more than three spatial dimensions") { node, g throws(ONNXImportError) in
                let x = try node.required(0), w = try node.required(1)
                let image = g.type(of: x), filter = g.type(of: w)
                guard image.rank == 4, filter.rank == 4 else {
                    return [try g.convolution(node, x, w, node.input(2))]
                }
                let window = try node.window(kernel: Array(filter.shape.suffix(2)), size: Array(image.shape.suffix(2)))
                let op = Conv2D(
                    stride: window.stride, dilation: window.dilation, padding: window.padding,
                    groups: try node.int("group", default: 1))
                let operands = [x, w] + (node.input(2).map { [$0] } ?? [])
                return try importing { () throws(ShapeError) in try g.appendAll(op, operands, name: node.name) }
            }
        ]
    }

    public static let specimens = [
        Specimen(Conv2D(kernel: 3), on: .f32(2, 3, 5, 6), .f32(4, 3, 3, 3), .f32(4)),
        Specimen(Conv2D(kernel: 1), on: .f32(2, 5, 3, 3), .f32(7, 5, 1, 1)),
        Specimen(Conv2D(kernel: 3, stride: 2, groups: 4), on: .f32(1, 4, 6, 7), .f32(4, 1, 3, 3)),
        Specimen(Conv2D(kernel: 5, dilation: 2, groups: 3), on: .f32(1, 3, 9, 8), .f32(3, 1, 5, 5)),
        Specimen(
            Conv2D(stride: [2, 1], dilation: [1, 2], padding: [0, 1, 2, 3], groups: 2), on: .f32(1, 4, 6, 5),
            .f32(6, 2, 3, 2)),
        Specimen(Conv2D(kernel: 1, stride: 2), on: .f32(1, 3, 5, 5), .f32(2, 3, 1, 1)),
        Specimen(
            Conv2D(stride: [2, 2], padding: [0, 0, 1, 1]), on: .f32(1, 8, 4, 6), .f32(8, 8, 1, 1)),
    ]
}

/// The loops of a grouped convolution, in the letters of the formula.
struct Loops {
    let n, c, h, w, k, cg, r, s, oh, ow, kg: Int

    init(_ image: [Int], _ filter: [Int], _ output: [Int], _ groups: Int) {
        (n, c, h, w) = (image[0], image[1], image[2], image[3])
        (k, cg, r, s) = (filter[0], filter[1], filter[2], filter[3])
        (oh, ow) = (output[2], output[3])
        kg = max(k / groups, 1)
    }

    /// Calls `body` with the linear indices of output, image and filter for every multiplication.
    func forEach(_ window: Window, _ body: (_ output: Int, _ image: Int, _ filter: Int) -> Void) {
        for b in 0..<n {
            for o in 0..<k {
                for i in 0..<oh {
                    for j in 0..<ow {
                        let out = ((b * k + o) * oh + i) * ow + j
                        for ci in 0..<cg {
                            let image = (b * c + o / kg * cg + ci) * h, filter = (o * cg + ci) * r * s
                            window.forEachTap(i, j, in: (h, w)) { tap, y, x in
                                body(out, (image + y) * w + x, filter + tap)
                            }
                        }
                    }
                }
            }
        }
    }
}
