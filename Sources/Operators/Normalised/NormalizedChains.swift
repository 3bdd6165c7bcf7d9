import CKernels
import IR

/// Depthwise convolutions of one normalised, activated image, each with a pointwise one behind it, and the moments of their
/// results: `y[k] = conv2d(conv2d(f(scale · x + shift), w[k]), u[k])`.
///
/// Made by the pass that fuses normalisation, one by one; another pass joins those that read one image, which is then loaded and
/// normalised once. The meaning is the decomposition. The image's normalisation, the function and the moments are optional.
///
/// - Shapes: `x: [N, C, H, W], scale, shift: [C]`, for every one `w: [C, 1, R, S], u: [K, C, 1, 1]` `→` for every one
///   `y: [N, K, H', W'], mean, variance: [K]`.
public struct NormalizedChains: Operator {
    public static let mnemonic = "normalized_chains"
    public var convolutions: [Conv2D] = []
    public var normalizes = false
    public var activation = NormalisedActivation()
    /// Whether means and (biased) variances of the results are results, too.
    public var moments = false

    public init() {}
    public init(_ convolutions: [Conv2D], normalizes: Bool, activation: NormalisedActivation, moments: Bool) {
        (self.convolutions, self.normalizes) = (convolutions, normalizes)
        (self.activation, self.moments) = (activation, moments)
    }

    /// Operands before those of the convolutions, and results of each convolution.
    public var sharedOperands: Int { normalizes ? 3 : 1 }
    public var resultsOfEach: Int { moments ? 3 : 1 }

    public var layoutRule: LayoutRule {
        .images(operands: [0], results: convolutions.indices.map { $0 * resultsOfEach })
    }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(sharedOperands + 2 * convolutions.count, for: self)
        let image = try x[0].requireFloat(for: self).require(rank: 4, for: self)
        _ = try activation.makeOperator()
        guard !convolutions.isEmpty,
            x[1..<sharedOperands].allSatisfy({ $0 == image.with(shape: [image.shape[1]]) })
        else { throw ShapeError("normalized_chains expects a scale and a shift of \(image) and filters, found \(x)") }
        var y: [TensorType] = []
        for (index, convolution) in convolutions.enumerated() {
            let at = sharedOperands + 2 * index
            let result = try Conv2D().infer([convolution.infer([image, x[at]])[0], x[at + 1]])[0]
            let moment = result.with(shape: [result.shape[1]])
            y += moments ? [result, moment, moment] : [result]
        }
        return y
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let normal = normalizes ? try g.scaled(x[0], x[1], x[2]) : x[0]
        let image = try activation.apply(normal, in: &g)
        var results: [Value] = []
        for (index, convolution) in convolutions.enumerated() {
            let at = sharedOperands + 2 * index
            let y = try g.append(Conv2D(), g.append(convolution, image, x[at]), x[at + 1])
            results.append(y)
            if moments { results += try g.appendAll(ChannelMoments(), [y]) }
        }
        return results
    }
    public var isTrainingOnly: Bool { true }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        let filters = convolutions.indices.map { (x[sharedOperands + 2 * $0], x[sharedOperands + 2 * $0 + 1]) }
        let outputs = convolutions.indices.map { y[$0 * resultsOfEach] }
        let head = [normalizes ? 1 : 0, activation.code, moments ? 1 : 0, 0, 0]
        guard let integers = convolutions.chainIntegers(image: x[0], filters: filters, outputs: outputs, head) else {
            return nil
        }
        return KernelCall(
            martlet_normalized_chains, integers: integers, reals: activation.reals, phases: moments ? 3 : 2
        ) { martlet_normalized_chains_scratch($0, Int32($1)) }
    }

    public static let specimens = [
        Specimen(
            NormalizedChains(
                [Conv2D(kernel: 5, stride: 2, dilation: 2, groups: 3)], normalizes: true, activation: .init(),
                moments: true), on: .f32(2, 3, 9, 8), .f32(3), .f32(3), .f32(3, 1, 5, 5), .f32(4, 3, 1, 1)),
        Specimen(
            NormalizedChains(
                [Conv2D(kernel: 3, groups: 5)], normalizes: false, activation: .init(of: Relu()), moments: true),
            on: .f32(3, 5, 4, 4), .f32(5, 1, 3, 3), .f32(5, 5, 1, 1), differentiable: false),
        Specimen(
            NormalizedChains(
                [
                    Conv2D(kernel: 3, groups: 3), Conv2D(kernel: 5, dilation: 2, groups: 3),
                    Conv2D(kernel: 3, dilation: 2, groups: 3),
                ], normalizes: true, activation: .init(of: HardSwish()), moments: true),
            on: .f32(3, 3, 9, 11), .f32(3), .f32(3), .f32(3, 1, 3, 3), .f32(4, 3, 1, 1), .f32(3, 1, 5, 5),
            .f32(2, 3, 1, 1), .f32(3, 1, 3, 3), .f32(3, 3, 1, 1), differentiable: false),
        Specimen(
            NormalizedChains(
                [
                    Conv2D(kernel: 5, stride: 2, groups: 16), Conv2D(kernel: 3, stride: 2, groups: 16),
                    Conv2D(kernel: 3, stride: 2, dilation: 2, groups: 16),
                ], normalizes: false, activation: .init(of: Relu()), moments: false),
            on: .f32(2, 16, 8, 6), .f32(16, 1, 5, 5), .f32(16, 16, 1, 1), .f32(16, 1, 3, 3), .f32(8, 16, 1, 1),
            .f32(16, 1, 3, 3), .f32(16, 16, 1, 1), differentiable: false),
    ]
}

/// Both gradients of ``NormalizedChains`` in one operator, from the gradients of its results or of what normalises them; that with
/// respect to the image is the sum over all convolutions.
///
/// With `denormalizes`, a result's gradient is `a · g + b · t + d` by channel (see ``BatchNormGradientScale``). The gradient with
/// respect to the image counts the slope of the function but not the scale: it is that of `scale · x + shift`. The sums,
/// `[2, C]`, are those of that gradient, and of its product with `x - mean`.
///
/// - Shapes: `x: [N, C, H, W], scale, shift, mean: [C]`, for every one `g: [N, K, H', W'], w: [C, 1, R, S], u: [K, C, 1, 1],
///   t: [as g], a, b, d: [K]` `→ dx: [as x]`, for every one `dw, du`, then `sums: [2, C]`, with those that the attributes name.
public struct NormalizedChainsGradient: Operator {
    public static let mnemonic = "normalized_chains_gradient"
    public var convolutions: [Conv2D] = []
    public var normalizes = false
    public var activation = NormalisedActivation()
    public var denormalizes = false
    public var wantsInput = true
    public var wantsSums = false

    public init() {}

    /// Operands before those of the convolutions, and operands of each.
    public var sharedOperands: Int { 1 + (normalizes ? 2 : 0) + (wantsSums ? 1 : 0) }
    public var operandsOfEach: Int { denormalizes ? 7 : 3 }
    private func operands<T>(of index: Int, _ x: [T]) -> ArraySlice<T> {
        x[(sharedOperands + index * operandsOfEach)...].prefix(operandsOfEach)
    }

    public var layoutRule: LayoutRule {
        let starts = convolutions.indices.map { sharedOperands + $0 * operandsOfEach }
        return .images(
            operands: [0] + starts.flatMap { denormalizes ? [$0, $0 + 3] : [$0] }, results: wantsInput ? [0] : [])
    }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(sharedOperands + operandsOfEach * convolutions.count, for: self)
        let image = try x[0].requireFloat(for: self).require(rank: 4, for: self)
        _ = try activation.makeOperator()
        guard !convolutions.isEmpty, wantsInput || !wantsSums, normalizes || !wantsSums,
            x[1..<sharedOperands].allSatisfy({ $0 == image.with(shape: [image.shape[1]]) })
        else {
            throw ShapeError(
                "normalized_chains_gradient expects coefficients of \(image), sums with a normalised image alone; found \(x)"
            )
        }
        var filters: [TensorType] = []
        for (index, convolution) in convolutions.enumerated() {
            let own = Array(operands(of: index, x)), (g, w, u) = (own[0], own[1], own[2])
            let y = try Conv2D().infer([convolution.infer([image, w])[0], u])[0]
            guard y == g, !denormalizes || (own[3] == g && own[4...].allSatisfy { $0 == g.with(shape: [g.shape[1]]) })
            else {
                throw ShapeError("normalized_chains_gradient: \(own) are not of what \(w) and \(u) make of \(image)")
            }
            filters += [w, u]
        }
        return (wantsInput ? [image] : []) + filters + (wantsSums ? [image.with(shape: [2, image.shape[1]])] : [])
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let normal = normalizes ? try g.scaled(x[0], x[1], x[2]) : x[0]
        let image = try activation.apply(normal, in: &g)
        var dz: Value?
        var filters: [Value] = []
        for (index, convolution) in convolutions.enumerated() {
            let own = Array(operands(of: index, x)), (w, u) = (own[1], own[2])
            var dy = own[0]
            if denormalizes { dy = try g.denormalised(dy, own[3], own[4], own[5], own[6]) }
            let between = try g.append(convolution, image, w)
            let du = try g.append(Conv2DFilterGradient(Conv2D(), filter: g.type(of: u).shape), dy, between)
            dy = try g.append(Conv2DInputGradient(Conv2D(), image: g.type(of: between).shape), dy, u)
            filters += [
                try g.append(Conv2DFilterGradient(convolution, filter: g.type(of: w).shape), dy, image), du,
            ]
            guard wantsInput else { continue }
            let part = try g.append(Conv2DInputGradient(convolution, image: g.type(of: x[0]).shape), dy, w)
            dz = try dz.map { sum throws(ShapeError) in try g.append(Add(), sum, part) } ?? part
        }
        guard let dz else { return filters }
        let dx = try activation.pullBack(dz, normal, in: &g)
        return [dx] + filters + (wantsSums ? [try g.centredSums(dx, of: x[0], mean: x[3])] : [])
    }
    public var isTrainingOnly: Bool { true }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        let own = convolutions.indices.map { Array(operands(of: $0, x)) }, at = wantsInput ? 1 : 0
        // What is read together lies alike; filters are plain.
        guard !wantsInput || y[0] == x[0],
            own.indices.allSatisfy({ i in
                (!denormalizes || own[i][3] == own[i][0]) && y[at + 2 * i] == own[i][1]
                    && y[at + 2 * i + 1] == own[i][2]
            }),
            let integers = convolutions.chainIntegers(
                image: x[0], filters: own.map { ($0[1], $0[2]) }, outputs: own.map { $0[0] },
                [
                    normalizes ? 1 : 0, activation.code, denormalizes ? 1 : 0, wantsSums ? 1 : 0, wantsInput ? 1 : 0,
                ])
        else { return nil }
        return KernelCall(
            martlet_normalized_chains_gradient, integers: integers, reals: activation.reals, phases: 3
        ) { martlet_normalized_chains_gradient_scratch($0, Int32($1)) }
    }

    public static let specimens = [
        Specimen(
            make([Conv2D(kernel: 3, groups: 3)], Relu(), denormal: true, normal: true, sums: true),
            on: .f32(2, 3, 5, 6), .f32(3), .f32(3), .f32(3), .f32(2, 4, 5, 6), .f32(3, 1, 3, 3), .f32(4, 3, 1, 1),
            .f32(2, 4, 5, 6), .f32(4), .f32(4), .f32(4), differentiable: false),
        Specimen(
            make(
                [Conv2D(kernel: 5, stride: 2, dilation: 2, groups: 3)], nil as Relu?, denormal: false, normal: false,
                sums: false),
            on: .f32(2, 3, 9, 8), .f32(2, 3, 5, 4), .f32(3, 1, 5, 5), .f32(3, 3, 1, 1)),
        Specimen(
            make(
                [
                    Conv2D(kernel: 3, groups: 3), Conv2D(kernel: 5, dilation: 2, groups: 3),
                    Conv2D(kernel: 3, dilation: 2, groups: 3),
                ], HardSwish(), denormal: true, normal: true, sums: true),
            on: .f32(3, 3, 9, 11), .f32(3), .f32(3), .f32(3), .f32(3, 4, 9, 11), .f32(3, 1, 3, 3), .f32(4, 3, 1, 1),
            .f32(3, 4, 9, 11), .f32(4), .f32(4), .f32(4), .f32(3, 2, 9, 11), .f32(3, 1, 5, 5), .f32(2, 3, 1, 1),
            .f32(3, 2, 9, 11), .f32(2), .f32(2), .f32(2), .f32(3, 3, 9, 11), .f32(3, 1, 3, 3), .f32(3, 3, 1, 1),
            .f32(3, 3, 9, 11), .f32(3), .f32(3), .f32(3), differentiable: false),
        Specimen(
            make(
                [
                    Conv2D(kernel: 5, stride: 2, groups: 16), Conv2D(kernel: 3, stride: 2, groups: 16),
                    Conv2D(kernel: 3, stride: 2, dilation: 2, groups: 16),
                ], Relu(), denormal: false, normal: false, sums: false),
            on: .f32(2, 16, 8, 6), .f32(2, 16, 4, 3), .f32(16, 1, 5, 5), .f32(16, 16, 1, 1), .f32(2, 8, 4, 3),
            .f32(16, 1, 3, 3), .f32(8, 16, 1, 1), .f32(2, 16, 4, 3), .f32(16, 1, 3, 3), .f32(16, 16, 1, 1),
            differentiable: false),
        Specimen(
            make(
                [Conv2D(kernel: 5, groups: 2), Conv2D(kernel: 3, groups: 2)], Relu(), denormal: false, normal: true,
                sums: false, input: false),
            on: .f32(2, 2, 5, 17), .f32(2), .f32(2), .f32(2, 2, 5, 17), .f32(2, 1, 5, 5), .f32(2, 2, 1, 1),
            .f32(2, 3, 5, 17), .f32(2, 1, 3, 3), .f32(3, 2, 1, 1), differentiable: false),
    ]

    private static func make(
        _ convolutions: [Conv2D], _ activation: (some ParametricActivation)?, denormal: Bool, normal: Bool, sums: Bool,
        input: Bool = true
    ) -> NormalizedChainsGradient {
        var op = NormalizedChainsGradient()
        op.convolutions = convolutions
        if let activation { op.activation = NormalisedActivation(of: activation) }
        (op.denormalizes, op.normalizes, op.wantsSums, op.wantsInput) = (denormal, normal, sums, input)
        return op
    }
}

extension [Conv2D] {
    /// The integers of the kernels of these depthwise convolutions of one image, with the pointwise ones behind them; `nil` for
    /// those that they do not take.
    func chainIntegers(
        image: TensorType, filters: [(depthwise: TensorType, pointwise: TensorType)], outputs: [TensorType],
        _ flags: [Int]
    ) -> [Int]? {
        guard image.isFusedImage, outputs.allSatisfy({ $0.isFusedImage && $0.shape[2...] == outputs[0].shape[2...] }),
            filters.allSatisfy({ $0.depthwise.isKernelArray && $0.pointwise.isKernelArray }),
            fuseAsChains(image, filters)
        else { return nil }
        return zip(self, zip(filters, outputs)).reduce([count] + flags) { known, part in
            let (convolution, ((depthwise, pointwise), output)) = part
            return known + convolution.geometry(image, depthwise, output) + [pointwise.shape[0]]
        }
    }

    /// Whether these convolutions are depthwise and, each with a pointwise one behind it, have fused kernels: an image of this type,
    /// layout aside, stays in the cache while all their gradients are taken.
    public func fuseAsChains(
        _ image: TensorType, _ filters: [(depthwise: TensorType, pointwise: TensorType)]
    ) -> Bool {
        var integers = [count, 1, 0, 1, 1, 1]
        var size: [Int]?
        for (convolution, (depthwise, pointwise)) in zip(self, filters) {
            guard convolution.fuses(image, depthwise), convolution.groups > 1, pointwise.rank == 4,
                depthwise.shape[2] * depthwise.shape[3] <= MARTLET_MAX_TAPS,
                pointwise.shape[1...] == [image.shape[1], 1, 1],
                let y = try? convolution.infer([image.plain, depthwise.plain])[0],
                size == nil || size == [Int](y.shape[2...])
            else { return false }
            size = [Int](y.shape[2...])
            integers += convolution.geometry(image, depthwise, y) + [pointwise.shape[0]]
        }
        return martlet_fused_chains(integers.map { Int64($0) }) != 0
    }
}
