import CKernels
import IR

/// The gradient of a convolution with respect to its image; also ONNX's `ConvTranspose`.
///
/// The pullbacks of `conv2d`, of this and of `conv2d_filter_gradient` are each the other two.
///
/// - Shapes: `dy: [N, K, H', W'], w: [K, C/g, R, S] → dx: [image]`.
public struct Conv2DInputGradient: Operator {
    public static let mnemonic = "conv2d_input_gradient"
    public var convolution = Conv2D()
    public var image: [Int] = []

    public init() {}
    public init(_ convolution: Conv2D, image: [Int]) {
        self.convolution = convolution
        self.image = image
    }

    public var layoutRule: LayoutRule { .images(operands: [0], results: [0]) }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self), dx = x[0].with(shape: image)
        guard try convolution.infer([dx, x[1]])[0] == x[0] else {
            throw ShapeError("conv2d_input_gradient: \(x[0]) is not what the convolution makes of \(dx) with \(x[1])")
        }
        return [dx]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let dy = x[0].reals, filter = x[1].reals
        var result = [R](repeating: 0, count: y[0].count)
        Loops(image, x[1].shape, x[0].shape, convolution.groups).forEach(convolution.window(x[1].type)) {
            out, at, tap in
            result[at] += dy[out] * filter[tap]
        }
        return [ReferenceTensor(y[0], result)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let d = p.gradients[0] else { return [nil, nil] }
        let w = p.operands[1]
        let ddy = p.needed[0] ? try g.append(convolution, d, w) : nil
        let dw =
            p.needed[1]
            ? try g.append(Conv2DFilterGradient(convolution, filter: g.type(of: w).shape), p.operands[0], d) : nil
        return [ddy, dw]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { x[0].count * x[1].shape[1...].reduce(1, *) }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        convolution.kernelIntegers(image: y[0], filter: x[1], output: x[0]).map {
            KernelCall(martlet_conv2d_input_gradient, integers: $0, phases: 2) {
                martlet_conv2d_input_gradient_scratch($0, Int32($1))
            }
        }
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let n = Loops(image, x[1].shape, x[0].shape, convolution.groups), w = convolution.window(x[1])
        let m = CMath(x[0].element)
        return CBody(
            """
            for (size_t i = 0; i < \(y[0].count); ++i) y0[i] = \(m.literal(0));
            for (ptrdiff_t n = 0; n < \(n.n); ++n)
                for (ptrdiff_t k = 0; k < \(n.k); ++k)
                    for (ptrdiff_t c = 0; c < \(n.cg); ++c)
                        for (ptrdiff_t i = 0; i < \(n.oh); ++i)
                            for (ptrdiff_t r = 0; r < \(n.r); ++r) {
                                const ptrdiff_t h = i * \(w.stride[0]) + r * \(w.dilation[0]) - \(w.padding[0]);
                                if (h < 0 || h >= \(n.h)) continue;
                                for (ptrdiff_t j = 0; j < \(n.ow); ++j)
                                    for (ptrdiff_t s = 0; s < \(n.s); ++s) {
                                        const ptrdiff_t w = j * \(w.stride[1]) + s * \(w.dilation[1]) - \(w.padding[1]);
                                        if (w < 0 || w >= \(n.w)) continue;
                                        y0[((n * \(n.c) + k / \(n.kg) * \(n.cg) + c) * \(n.h) + h) * \(n.w) + w] += x0[((n * \(n.k) + k) * \(n.oh) + i) * \(n.ow) + j] * x1[((k * \(n.cg) + c) * \(n.r) + r) * \(n.s) + s];
                                    }
                            }

            """)
    }

    public static let specimens = [
        Specimen(Conv2DInputGradient(Conv2D(kernel: 3), image: [2, 3, 5, 6]), on: .f32(2, 4, 5, 6), .f32(4, 3, 3, 3)),
        Specimen(
            Conv2DInputGradient(Conv2D(kernel: 3, stride: 2, groups: 4), image: [1, 4, 6, 7]), on: .f32(1, 4, 3, 4),
            .f32(4, 1, 3, 3)),
        Specimen(Conv2DInputGradient(Conv2D(kernel: 1), image: [2, 5, 3, 3]), on: .f32(2, 7, 3, 3), .f32(7, 5, 1, 1)),
        Specimen(
            Conv2DInputGradient(Conv2D(kernel: 5, dilation: 2, groups: 3), image: [1, 3, 9, 8]), on: .f32(1, 3, 9, 8),
            .f32(3, 1, 5, 5)),
        Specimen(
            Conv2DInputGradient(
                Conv2D(stride: [2, 1], dilation: [1, 2], padding: [0, 1, 2, 3], groups: 2), image: [1, 4, 6, 5]),
            on: .f32(1, 6, 3, 7), .f32(6, 2, 3, 2)),
    ]
}

/// The gradient of a convolution with respect to its filter.
///
/// - Shapes: `dy: [N, K, H', W'], x: [N, C, H, W] → dw: [filter]`.
public struct Conv2DFilterGradient: Operator {
    public static let mnemonic = "conv2d_filter_gradient"
    public var convolution = Conv2D()
    public var filter: [Int] = []

    public init() {}
    public init(_ convolution: Conv2D, filter: [Int]) {
        self.convolution = convolution
        self.filter = filter
    }

    public var layoutRule: LayoutRule { .images(operands: [0, 1], results: []) }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self), dw = x[0].with(shape: filter)
        guard try convolution.infer([x[1], dw])[0] == x[0] else {
            throw ShapeError("conv2d_filter_gradient: \(x[0]) is not what the convolution makes of \(x[1]) with \(dw)")
        }
        return [dw]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let dy = x[0].reals, image = x[1].reals
        var result = [R](repeating: 0, count: y[0].count)
        Loops(x[1].shape, filter, x[0].shape, convolution.groups).forEach(convolution.window(y[0])) { out, at, tap in
            result[tap] += dy[out] * image[at]
        }
        return [ReferenceTensor(y[0], result)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let d = p.gradients[0] else { return [nil, nil] }
        let (dy, x) = (p.operands[0], p.operands[1])
        let ddy = p.needed[0] ? try g.append(convolution, x, d) : nil
        let dx = p.needed[1] ? try g.append(Conv2DInputGradient(convolution, image: g.type(of: x).shape), dy, d) : nil
        return [ddy, dx]
    }
    public var isTrainingOnly: Bool { true }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        convolution.kernelIntegers(image: x[1], filter: y[0], output: x[0]).map {
            KernelCall(martlet_conv2d_filter_gradient, integers: $0, phases: 2) {
                martlet_conv2d_filter_gradient_scratch($0, Int32($1))
            }
        }
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { x[0].count * filter[1...].reduce(1, *) }

    public static let specimens = [
        Specimen(
            Conv2DFilterGradient(Conv2D(kernel: 3), filter: [4, 3, 3, 3]), on: .f32(2, 4, 5, 6), .f32(2, 3, 5, 6)),
        Specimen(
            Conv2DFilterGradient(Conv2D(kernel: 3, stride: 2, groups: 4), filter: [4, 1, 3, 3]), on: .f32(1, 4, 3, 4),
            .f32(1, 4, 6, 7)),
        Specimen(
            Conv2DFilterGradient(Conv2D(kernel: 1), filter: [7, 5, 1, 1]), on: .f32(2, 7, 3, 3), .f32(2, 5, 3, 3)),
        Specimen(
            Conv2DFilterGradient(Conv2D(kernel: 5, dilation: 2, groups: 3), filter: [3, 1, 5, 5]), on: .f32(1, 3, 9, 8),
            .f32(1, 3, 9, 8)),
        Specimen(
            Conv2DFilterGradient(
                Conv2D(stride: [2, 1], dilation: [1, 2], padding: [0, 1, 2, 3], groups: 2), filter: [6, 2, 3, 2]),
            on: .f32(1, 6, 3, 7), .f32(1, 4, 6, 5)),
    ]
}
