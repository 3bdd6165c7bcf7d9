import CKernels
import IR

/// Mean and biased variance of every channel of an image.
///
/// - Shapes: `x: [N, C, H, W] → mean, variance: [C]`.
public struct ChannelMoments: Operator {
    public static let mnemonic = "channel_moments"

    public init() {}

    public var layoutRule: LayoutRule { .images(operands: [0], results: []) }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self).requireFloat(for: self).require(rank: 4, for: self)
        return [x.with(shape: [x.shape[1]]), x.with(shape: [x.shape[1]])]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let c = g.type(of: x[0]).shape[1]
        let mean = try g.append(ReduceMean(axes: [0, 2, 3], keepsDimensions: true), x[0])
        let centred = try g.append(Subtract(), x[0], mean)
        let variance = try g.append(ReduceMean(axes: [0, 2, 3]), g.append(Multiply(), centred, centred))
        return [try g.append(Reshape([c]), mean), variance]
    }
    public var isTrainingOnly: Bool { true }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard x[0].isFusedImage else { return nil }
        return KernelCall(martlet_channel_moments, integers: [x[0].imageRows, x[0].shape[1]], phases: 2) {
            martlet_channel_moments_scratch($0[1], Int32($1))
        }
    }

    public static let specimens = [Specimen(ChannelMoments(), on: .f32(4, 3, 2, 3))]
}

/// The coefficients of batch normalisation: `y = scale · x + shift` with `scale = gain / √(variance + epsilon)`.
///
/// - Shapes: `mean, variance: [C], gain, bias: [C] (both or neither) → scale, shift: [C]`.
public struct BatchNormScale: Operator {
    public static let mnemonic = "batch_norm_scale"
    public var epsilon = 1e-5

    public init() {}
    public init(epsilon: Double) { self.epsilon = epsilon }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        guard x.count == 2 || x.count == 4, x[0].rank == 1, x.allSatisfy({ $0 == x[0] }) else {
            throw ShapeError("batch_norm_scale expects mean and variance, with gain and bias or neither, found \(x)")
        }
        return [try x[0].requireFloat(for: self), x[0]]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        var scale = try g.append(
            Reciprocal(), g.append(Sqrt(), g.append(Add(), x[1], g.constant(epsilon, like: x[1]))))
        if x.count == 4 { scale = try g.append(Multiply(), scale, x[2]) }
        let product = try g.append(Multiply(), x[0], scale)
        return [scale, x.count == 4 ? try g.append(Subtract(), x[3], product) : try g.append(Negate(), product)]
    }
    public var isTrainingOnly: Bool { true }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard x[0].element == .f32 else { return nil }
        var call = KernelCall(
            martlet_batch_norm_scale, integers: [x[0].count, x.count == 4 ? 1 : 0], reals: [epsilon])
        call.isParallel = false
        return call
    }

    public static let specimens = [
        Specimen(
            BatchNormScale(),
            operands: [
                .uniform(.f32(5), -2...2), .uniform(.f32(5), 0.5...2), .uniform(.f32(5), -2...2),
                .uniform(.f32(5), -2...2),
            ]),
        Specimen(BatchNormScale(epsilon: 1e-3), operands: [.uniform(.f32(4), -2...2), .uniform(.f32(4), 0.5...2)]),
    ]
}

/// The coefficients of batch normalisation's gradient: the gradient of `x` is `a · g + b · x + d` where that of the normalised
/// `x` is `w · g`.
///
/// `sums` holds the sum of `g` in its first row, and that of `g · (x - mean)` in row `row`; `w` is element `weight` of the last
/// operand, 1 where `weight` is negative.
///
/// - Shapes: `sums: [rows, C], mean, variance: [C], gain: [C] (optional), w: [K] (optional) → a, b, d: [C]`, with a gain also
///   its gradient and that of the bias.
public struct BatchNormGradientScale: Operator {
    public static let mnemonic = "batch_norm_gradient_scale"
    public var epsilon = 1e-5
    /// How many elements a channel has.
    public var count = 1
    public var row = 1
    public var isAffine = false
    public var weight = -1

    public init() {}
    public init(epsilon: Double, count: Int, row: Int, isAffine: Bool, weight: Int = -1) {
        (self.epsilon, self.count, self.row, self.isAffine, self.weight) = (epsilon, count, row, isAffine, weight)
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let operands = 3 + (isAffine ? 1 : 0) + (weight >= 0 ? 1 : 0)
        guard x.count == operands, x[0].rank == 2, row < x[0].shape[0], row > 0, count > 0,
            x[1...(isAffine ? 3 : 2)].allSatisfy({ $0 == x[0].with(shape: [x[0].shape[1]]) }),
            weight < 0 || (x[operands - 1].rank == 1 && weight < x[operands - 1].shape[0])
        else {
            throw ShapeError("batch_norm_gradient_scale expects sums, mean, variance and what is named, found \(x)")
        }
        return [TensorType](repeating: try x[1].requireFloat(for: self), count: isAffine ? 5 : 3)
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let c = g.type(of: x[1]).shape[0], rows = g.type(of: x[0]).shape[0]
        func line(_ index: Int, _ g: inout GraphBuilder) throws(ShapeError) -> Value {
            try g.append(Reshape([c]), g.append(Slice(axis: 0, start: index, size: 1, of: [rows, c]), x[0]))
        }
        var sum = try line(0, &g), product = try line(row, &g)
        var factor: Value?
        if weight >= 0, let w = x.last {
            let scalar = try g.append(Slice(axis: 0, start: weight, size: 1, of: g.type(of: w).shape), w)
            factor = scalar
            sum = try g.append(Multiply(), sum, scalar)
            product = try g.append(Multiply(), product, scalar)
        }
        let rstd = try g.append(Reciprocal(), g.append(Sqrt(), g.append(Add(), x[2], g.constant(epsilon, like: x[2]))))
        let scale = isAffine ? try g.append(Multiply(), rstd, x[3]) : rstd
        // A quotient: whole numbers are exact in every type.
        let share = try g.append(Divide(), scale, g.constant(-Double(count), like: x[1]))
        let normal = try g.append(Multiply(), product, rstd)
        let b = try g.append(Multiply(), g.append(Multiply(), normal, rstd), share)
        let d = try g.append(Subtract(), g.append(Multiply(), share, sum), g.append(Multiply(), b, x[1]))
        let a = try factor.map { factor throws(ShapeError) in try g.append(Multiply(), scale, factor) } ?? scale
        return isAffine ? [a, b, d, normal, sum] : [a, b, d]
    }
    public var isTrainingOnly: Bool { true }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard x.allSatisfy({ $0.element == .f32 }) else { return nil }
        var call = KernelCall(
            martlet_batch_norm_gradient_scale, integers: [x[1].count, isAffine ? 1 : 0, count, row, weight],
            reals: [epsilon])
        call.isParallel = false
        return call
    }

    public static let specimens = [
        Specimen(
            BatchNormGradientScale(epsilon: 1e-3, count: 12, row: 2, isAffine: true, weight: 1),
            operands: [
                .uniform(.f32(3, 5), -2...2), .uniform(.f32(5), -1...1), .uniform(.f32(5), 0.5...2),
                .uniform(.f32(5), -2...2), .uniform(.f32(3), -2...2),
            ]),
        Specimen(
            BatchNormGradientScale(epsilon: 1e-5, count: 7, row: 1, isAffine: false),
            operands: [.uniform(.f32(2, 4), -2...2), .uniform(.f32(4), -1...1), .uniform(.f32(4), 0.5...2)]),
    ]
}
