import CKernels
import IR

/// A convolution of a normalised, activated image, with the moments of its result: `y = conv2d(f(scale · x + shift), w)`.
///
/// Made by the pass that fuses normalisation; the meaning is the decomposition. The image's normalisation is
/// optional, as are the function and the moments. With the precision `bf16`, image and filter are rounded to it before they are
/// multiplied; the sums stay `f32`.
///
/// - Shapes: `x: [N, C, H, W], w: [K, C/g, R, S], scale, shift: [C] → y: [N, K, H', W'], mean, variance: [K]`.
public struct NormalizedConv2D: Operator {
    public static let mnemonic = "normalized_conv2d"
    public var convolution = Conv2D()
    public var normalizes = false
    public var activation = NormalisedActivation()
    /// Whether mean and (biased) variance of the result are results, too.
    public var moments = false
    /// What the operands of products are rounded to.
    public var precision = ElementType.f32

    public init() {}
    public init(
        _ convolution: Conv2D, normalizes: Bool, activation: NormalisedActivation, moments: Bool,
        precision: ElementType = .f32
    ) {
        self.convolution = convolution
        self.precision = precision
        self.normalizes = normalizes
        self.activation = activation
        self.moments = moments
    }

    public var layoutRule: LayoutRule { .images(operands: [0], results: [0]) }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(normalizes ? 4 : 2, for: self)
        let y = try convolution.infer(Array(x.prefix(2)))[0]
        try convolution.check(precision, for: self)
        _ = try activation.makeOperator()
        let channels = x[0].with(shape: [x[0].shape[1]])
        guard x.dropFirst(2).allSatisfy({ $0 == channels }) else {
            throw ShapeError(
                "normalized_conv2d: scale and shift of \(x[0]) should be \(channels), found \(x.suffix(2))")
        }
        let moment = y.with(shape: [y.shape[1]])
        return moments ? [y, moment, moment] : [y]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        var image = x[0]
        if normalizes { image = try g.scaled(image, x[x.count - 2], x[x.count - 1]) }
        image = try g.rounded(activation.apply(image, in: &g), to: precision)
        let y = try g.append(convolution, image, g.rounded(x[1], to: precision))
        return moments ? [y] + (try g.appendAll(ChannelMoments(), [y])) : [y]
    }
    public var isTrainingOnly: Bool { true }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        let flags = [normalizes ? 1 : 0, activation.code, moments ? 1 : 0, 0, 0]
        guard let integers = convolution.fusedIntegers(image: x[0], filter: x[1], output: y[0], precision) else {
            return nil
        }
        return KernelCall(
            martlet_normalized_conv2d, integers: integers + flags + [precision == .bf16 ? 1 : 0],
            reals: activation.reals, phases: moments ? 3 : 2
        ) { martlet_normalized_conv2d_scratch($0, Int32($1)) }
    }

    public static let specimens = [
        Specimen(
            NormalizedConv2D(Conv2D(kernel: 3), normalizes: true, activation: .init(of: HardSwish()), moments: true),
            on: .f32(2, 3, 5, 6), .f32(4, 3, 3, 3), .f32(3), .f32(3), differentiable: false),
        Specimen(
            NormalizedConv2D(Conv2D(kernel: 1), normalizes: true, activation: .init(), moments: true),
            on: .f32(2, 5, 3, 3), .f32(7, 5, 1, 1), .f32(5), .f32(5)),
        Specimen(
            NormalizedConv2D(
                Conv2D(kernel: 3, stride: 2, groups: 4), normalizes: false, activation: .init(of: Relu()), moments: true
            ),
            on: .f32(3, 4, 6, 7), .f32(4, 1, 3, 3), differentiable: false),
        Specimen(
            NormalizedConv2D(
                Conv2D(kernel: 5, dilation: 2, groups: 3), normalizes: true,
                activation: .init(of: Clip(low: -1, high: 1)),
                moments: false), on: .f32(1, 3, 9, 8), .f32(3, 1, 5, 5), .f32(3), .f32(3), differentiable: false),
        Specimen(
            NormalizedConv2D(Conv2D(kernel: 1, stride: 2), normalizes: true, activation: .init(), moments: false),
            on: .f32(1, 3, 5, 5), .f32(2, 3, 1, 1), .f32(3), .f32(3)),
        Specimen(
            NormalizedConv2D(
                Conv2D(kernel: 3), normalizes: true, activation: .init(of: Relu()), moments: true, precision: .bf16),
            on: .f32(2, 6, 5, 7), .f32(18, 6, 3, 3), .f32(6), .f32(6), differentiable: false),
        Specimen(
            NormalizedConv2D(
                Conv2D(kernel: 3, stride: 2, dilation: 2), normalizes: false, activation: .init(), moments: false,
                precision: .bf16),
            on: .f32(2, 4, 9, 8), .f32(4, 4, 3, 3), differentiable: false),
        Specimen(
            NormalizedConv2D(
                Conv2D(kernel: 1), normalizes: false, activation: .init(), moments: true, precision: .bf16),
            on: .f32(3, 18, 5, 5), .f32(6, 18, 1, 1), differentiable: false),
    ]
}

/// Both gradients of a ``NormalizedConv2D`` in one operator, from the gradient of its result or of what normalises it.
///
/// With `denormalizes`, the result's gradient is `dy = a · g + b · t + d` by channel (see ``BatchNormGradientScale``). The
/// gradient with respect to the image counts the slope of the function but not the scale: it is that of
/// `scale · x + shift`. The sums, `[2, C]`, are those of that gradient, and of its product with `x - mean`.
///
/// - Shapes: `g: [N, K, H', W'], x: [N, C, H, W], w: [K, C/g, R, S], t: [as g], a, b, d: [K], scale, shift, mean: [C]
///   → dx: [as x], dw: [as w], sums: [2, C]`, with those that the attributes name.
public struct NormalizedConv2DGradient: Operator {
    public static let mnemonic = "normalized_conv2d_gradient"
    public var convolution = Conv2D()
    public var normalizes = false
    public var activation = NormalisedActivation()
    public var denormalizes = false
    public var wantsInput = true
    public var wantsSums = false
    /// What `dy`, image and filter are rounded to before they are multiplied.
    public var precision = ElementType.f32

    public init() {}

    public var layoutRule: LayoutRule {
        .images(operands: denormalizes ? [0, 1, 3] : [0, 1], results: wantsInput ? [0] : [])
    }
    /// The operands by their parts.
    private func parts<T>(_ x: [T]) throws(ShapeError) -> (
        g: T, x: T, w: T, denormal: [T], normal: [T], mean: T?
    ) {
        let (denormal, normal) = (denormalizes ? 4 : 0, normalizes ? 2 : 0)
        let first = 3, count = first + denormal + normal + (wantsSums ? 1 : 0)
        guard x.count == count, wantsInput || !wantsSums, normalizes || !wantsSums else {
            throw ShapeError(
                "normalized_conv2d_gradient expects \(count) operands, and sums with a normalised image alone; found \(x.count)"
            )
        }
        return (
            x[0], x[1], x[2], Array(x[first..<first + denormal]),
            Array(x[first + denormal..<first + denormal + normal]),
            wantsSums ? x[count - 1] : nil
        )
    }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let p = try parts(x)
        _ = try activation.makeOperator()
        let y = try convolution.infer([p.x, p.w])[0]
        try convolution.check(precision, for: self)
        guard y == p.g else {
            throw ShapeError(
                "normalized_conv2d_gradient: \(p.g) is not what the convolution makes of \(p.x) with \(p.w)")
        }
        let (outer, inner) = (p.g.with(shape: [p.g.shape[1]]), p.x.with(shape: [p.x.shape[1]]))
        guard p.denormal.isEmpty || (p.denormal[0] == p.g && p.denormal.dropFirst().allSatisfy { $0 == outer }),
            (p.normal + (p.mean.map { [$0] } ?? [])).allSatisfy({ $0 == inner })
        else { throw ShapeError("normalized_conv2d_gradient expects coefficients \(outer) and \(inner), found \(x)") }
        return (wantsInput ? [p.x] : []) + [p.w]
            + (wantsSums ? [p.x.with(shape: [2, p.x.shape[1]])] : [])
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let p = try parts(x)
        var dy = p.g
        if denormalizes { dy = try g.denormalised(dy, p.denormal[0], p.denormal[1], p.denormal[2], p.denormal[3]) }
        let normal = normalizes ? try g.scaled(p.x, p.normal[0], p.normal[1]) : p.x
        dy = try g.rounded(dy, to: precision)
        let image = try g.rounded(activation.apply(normal, in: &g), to: precision)
        let dw = try g.append(Conv2DFilterGradient(convolution, filter: g.type(of: p.w).shape), dy, image)
        guard wantsInput else { return [dw] }
        let dz = try g.append(
            Conv2DInputGradient(convolution, image: g.type(of: p.x).shape), dy, g.rounded(p.w, to: precision))
        let dx = try activation.pullBack(dz, normal, in: &g)
        guard wantsSums, let mean = p.mean else { return [dx, dw] }
        return [dx, dw, try g.centredSums(dx, of: p.x, mean: mean)]
    }
    public var isTrainingOnly: Bool { true }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        // What is read together lies alike; filters are plain.
        guard !denormalizes || x[3] == x[0], !wantsInput || y[0] == x[1], y[wantsInput ? 1 : 0] == x[2] else {
            return nil
        }
        let flags = [
            normalizes ? 1 : 0, activation.code, denormalizes ? 1 : 0, wantsSums ? 1 : 0, wantsInput ? 1 : 0,
        ]
        guard let integers = convolution.fusedIntegers(image: x[1], filter: x[2], output: x[0], precision) else {
            return nil
        }
        return KernelCall(
            martlet_normalized_conv2d_gradient, integers: integers + flags + [precision == .bf16 ? 1 : 0],
            reals: activation.reals, phases: 3
        ) { martlet_normalized_conv2d_gradient_scratch($0, Int32($1)) }
    }

    public static let specimens = [
        Specimen(
            make(Conv2D(kernel: 3), Relu(), denormal: true, normal: true, sums: true),
            on: .f32(2, 4, 5, 6), .f32(2, 3, 5, 6), .f32(4, 3, 3, 3), .f32(2, 4, 5, 6), .f32(4), .f32(4), .f32(4),
            .f32(3), .f32(3), .f32(3), differentiable: false),
        Specimen(
            make(Conv2D(kernel: 1), Clip(low: -1, high: 1), denormal: true, normal: true, sums: true),
            on: .f32(2, 7, 3, 3), .f32(2, 5, 3, 3), .f32(7, 5, 1, 1), .f32(2, 7, 3, 3), .f32(7), .f32(7), .f32(7),
            .f32(5),
            .f32(5), .f32(5), differentiable: false),
        Specimen(
            make(Conv2D(kernel: 3, stride: 2, groups: 4), HardSwish(), denormal: true, normal: true, sums: true),
            on: .f32(1, 4, 3, 4), .f32(1, 4, 6, 7), .f32(4, 1, 3, 3), .f32(1, 4, 3, 4), .f32(4), .f32(4), .f32(4),
            .f32(4),
            .f32(4), .f32(4), differentiable: false),
        Specimen(
            make(Conv2D(kernel: 5, dilation: 2, groups: 3), Relu(), denormal: false, normal: false, sums: false),
            on: .f32(1, 3, 9, 8), .f32(1, 3, 9, 8), .f32(3, 1, 5, 5), differentiable: false),
        Specimen(
            make(Conv2D(kernel: 3, stride: 2), Relu(), denormal: true, normal: false, sums: false, input: false),
            on: .f32(2, 4, 3, 3), .f32(2, 3, 5, 6), .f32(4, 3, 3, 3), .f32(2, 4, 3, 3), .f32(4), .f32(4), .f32(4),
            differentiable: false),
        Specimen(
            make(Conv2D(kernel: 1, stride: 2), nil as Relu?, denormal: false, normal: true, sums: true),
            on: .f32(1, 2, 3, 3), .f32(1, 3, 5, 5), .f32(2, 3, 1, 1), .f32(3), .f32(3), .f32(3)),
        Specimen(
            make(Conv2D(kernel: 3), Relu(), denormal: true, normal: true, sums: true, precision: .bf16),
            on: .f32(2, 4, 5, 7), .f32(2, 18, 5, 7), .f32(4, 18, 3, 3), .f32(2, 4, 5, 7), .f32(4), .f32(4), .f32(4),
            .f32(18), .f32(18), .f32(18), differentiable: false),
        Specimen(
            make(
                Conv2D(kernel: 3, stride: 2, dilation: 2), nil as Relu?, denormal: false, normal: false, sums: false,
                precision: .bf16),
            on: .f32(2, 6, 5, 4), .f32(2, 4, 9, 8), .f32(6, 4, 3, 3), differentiable: false),
        Specimen(
            make(
                Conv2D(kernel: 3), nil as Relu?, denormal: true, normal: false, sums: false, input: false,
                precision: .bf16),
            on: .f32(2, 18, 4, 5), .f32(2, 2, 4, 5), .f32(18, 2, 3, 3), .f32(2, 18, 4, 5), .f32(18), .f32(18), .f32(18),
            differentiable: false),
        Specimen(
            make(Conv2D(kernel: 1), HardSwish(), denormal: true, normal: true, sums: true, precision: .bf16),
            on: .f32(3, 6, 5, 5), .f32(3, 18, 5, 5), .f32(6, 18, 1, 1), .f32(3, 6, 5, 5), .f32(6), .f32(6), .f32(6),
            .f32(18), .f32(18), .f32(18), differentiable: false),
    ]

    private static func make(
        _ convolution: Conv2D, _ activation: (some ParametricActivation)?, denormal: Bool, normal: Bool, sums: Bool,
        input: Bool = true, precision: ElementType = .f32
    ) -> NormalizedConv2DGradient {
        var op = NormalizedConv2DGradient()
        op.precision = precision
        op.convolution = convolution
        if let activation { op.activation = NormalisedActivation(of: activation) }
        (op.denormalizes, op.normalizes, op.wantsSums, op.wantsInput) = (denormal, normal, sums, input)
        return op
    }
}

extension Conv2D {
    /// The geometry that the fused kernels take: dense or depthwise, padding narrower than the filter; `nil` for others.
    func fusedIntegers(
        image: TensorType, filter: TensorType, output: TensorType, _ precision: ElementType
    ) -> [Int]? {
        guard fuses(image, filter), image.isFusedImage, output.isFusedImage,
            precision == .f32 || rounds(filter)
        else { return nil }
        return kernelIntegers(image: image, filter: filter, output: output)
    }

    /// Whether fused convolutions with this filter have kernels whose products are of `bf16`, which take channels in pairs.
    public func rounds(_ filter: TensorType) -> Bool {
        groups == 1 && filter.shape[0] % 2 == 0 && filter.shape[1] % 2 == 0
    }

    fileprivate func check(_ precision: ElementType, for op: some Operator) throws(ShapeError) {
        guard precision == .f32 || (precision == .bf16 && groups == 1) else {
            throw ShapeError(
                "\(type(of: op).mnemonic) expects the precision f32, or bf16 without groups; found \(precision.rawValue)"
            )
        }
    }

    /// Whether a convolution of these types, layouts aside, has fused kernels.
    public func fuses(_ image: TensorType, _ filter: TensorType) -> Bool {
        guard image.rank == 4, image.element == .f32, filter.shape.count == 4 else { return false }
        let reach = (0..<2).map { (filter.shape[$0 + 2] - 1) * dilation[$0] }
        return (groups == 1 || (groups == image.shape[1] && groups == filter.shape[0]))
            && padding.indices.allSatisfy { padding[$0] <= reach[$0 % 2] }
            && martlet_fused_channels(Int64(image.shape[1])) != 0 && martlet_fused_channels(Int64(filter.shape[0])) != 0
    }
}
