import CKernels
import IR

/// Batch normalisation with the statistics of the batch, for training.
///
/// `y = (x - mean) / √(variance + epsilon) · scale + bias` over the batch and the image, for every channel.
///
/// - Shapes: `x: [N, C, H, W] (or [N, C]), scale: [C], bias: [C] (both or neither) → y: [same as x], mean: [C], variance: [C]`.
///   The variance is the biased one.
/// - Source: Ioffe & Szegedy, *Batch Normalization*, ICML 2015, algorithm 1.
public struct BatchNorm: Operator {
    public static let mnemonic = "batch_norm"
    public var epsilon = 1e-5

    public init() {}
    public init(epsilon: Double) { self.epsilon = epsilon }

    public var layoutRule: LayoutRule { .image }
    public var isTrainingOnly: Bool { true }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        guard x.count == 1 || x.count == 3, let image = x.first, image.rank >= 2 else {
            throw ShapeError("batch_norm expects an image, and a scale and bias or neither, found \(x)")
        }
        let channels = try image.requireFloat(for: self).with(shape: [image.shape[1]])
        guard x.dropFirst().allSatisfy({ $0 == channels }) else {
            throw ShapeError("batch_norm: scale and bias of \(image) should be \(channels), found \(x[1]) and \(x[2])")
        }
        return [image, channels, channels]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let type = g.type(of: x[0]), axes = [0] + Array(2..<type.rank)
        let mean = try g.append(ReduceMean(axes: axes, keepsDimensions: true), x[0])
        let centred = try g.append(Subtract(), x[0], mean)
        let variance = try g.append(
            ReduceMean(axes: axes, keepsDimensions: true), g.append(Multiply(), centred, centred))
        let deviation = try g.append(Sqrt(), g.append(Add(), variance, g.constant(epsilon, like: variance)))
        var y = try g.append(Divide(), centred, deviation)
        let (c, channels) = (type.shape[1], [1, type.shape[1]] + axes.dropFirst().map { _ in 1 })
        if x.count == 3 {
            y = try g.append(Multiply(), y, g.append(Reshape(channels), x[1]))
            y = try g.append(Add(), y, g.append(Reshape(channels), x[2]))
        }
        return [y, try g.append(Reshape([c]), mean), try g.append(Reshape([c]), variance)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        // A loss of the statistics themselves is rare: the decomposition handles it.
        guard let dy = p.gradients[0], p.gradients[1] == nil, p.gradients[2] == nil else { return nil }
        let gradient = BatchNormGradient(epsilon: epsilon)
        let scale = p.operands.count == 3 ? [p.operands[1]] : []
        let results = try g.appendAll(gradient, [p.operands[0], dy, p.results[1], p.results[2]] + scale)
        return results.map { $0 }
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard let rows = batchNormRows(x[0]), y[0] == x[0] else { return nil }
        return KernelCall(
            martlet_batch_norm_training, integers: [rows, x[0].shape[1], x.count == 3 ? 1 : 0], reals: [epsilon],
            phases: 2,
            scratch: { martlet_batch_norm_scratch($0[1], Int32($1)) })
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public static var onnxImports: [ONNXImport] { [] }

    public static let specimens = [
        Specimen(BatchNorm(), on: .f32(4, 3, 2, 3), .f32(3), .f32(3)),
        Specimen(BatchNorm(epsilon: 1e-3), on: .f32(3, 2, 3, 2)),
        Specimen(BatchNorm(), on: .f32(6, 3), .f32(3), .f32(3)),
    ]
}

/// The gradient of batch normalisation in one operator.
///
/// With `x̂ = (x - mean) · rstd`: `dx = scale · rstd · (dy - mean(dy) - x̂ · mean(dy · x̂))`, `dscale = Σ dy · x̂`, `dbias = Σ dy`.
/// The statistics count as functions of `x`, so that second derivatives are exact.
///
/// - Shapes: `x, dy: [N, C, …], mean, variance: [C], scale: [C] (optional) → dx: [same as x], dscale, dbias: [C] with a scale`.
public struct BatchNormGradient: Operator {
    public static let mnemonic = "batch_norm_gradient"
    public var epsilon = 1e-5

    public init() {}
    public init(epsilon: Double) { self.epsilon = epsilon }

    public var layoutRule: LayoutRule { .image }
    public var isTrainingOnly: Bool { true }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        guard x.count == 4 || x.count == 5, x[0] == x[1], x[0].rank >= 2 else {
            throw ShapeError("batch_norm_gradient expects x, dy, mean, variance and perhaps a scale, found \(x)")
        }
        let channels = x[0].with(shape: [x[0].shape[1]])
        guard x[2...].allSatisfy({ $0 == channels }) else {
            throw ShapeError("batch_norm_gradient expects \(channels), found \(x)")
        }
        return x.count == 4 ? [x[0]] : [x[0], channels, channels]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let type = g.type(of: x[0]), axes = [0] + Array(2..<type.rank)
        let c = type.shape[1], channels = [1, c] + axes.dropFirst().map { _ in 1 }
        let (image, dy) = (x[0], x[1])
        let mean = try g.append(Reshape(channels), x[2]), variance = try g.append(Reshape(channels), x[3])
        let rstd = try g.append(
            Reciprocal(), g.append(Sqrt(), g.append(Add(), variance, g.constant(epsilon, like: variance))))
        let normal = try g.append(Multiply(), g.append(Subtract(), image, mean), rstd)
        let product = try g.append(Multiply(), dy, normal)
        let meanDy = try g.append(ReduceMean(axes: axes, keepsDimensions: true), dy)
        let meanProduct = try g.append(ReduceMean(axes: axes, keepsDimensions: true), product)
        let centred = try g.append(Subtract(), dy, meanDy)
        let inner = try g.append(Subtract(), centred, g.append(Multiply(), normal, meanProduct))
        var factor = rstd
        if x.count == 5 { factor = try g.append(Multiply(), rstd, g.append(Reshape(channels), x[4])) }
        let dx = try g.append(Multiply(), inner, factor)
        guard x.count == 5 else { return [dx] }
        return [dx, try g.append(ReduceSum(axes: axes), product), try g.append(ReduceSum(axes: axes), dy)]
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard let rows = batchNormRows(x[0]), x[1] == x[0], y[0] == x[0] else { return nil }
        return KernelCall(
            martlet_batch_norm_gradient, integers: [rows, x[0].shape[1], x.count == 5 ? 1 : 0], reals: [epsilon],
            phases: 2,
            scratch: { martlet_batch_norm_scratch($0[1], Int32($1)) })
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static let specimens = [
        Specimen(
            BatchNormGradient(),
            operands: [
                .uniform(.f32(3, 2, 2, 3), -2...2), .uniform(.f32(3, 2, 2, 3), -2...2), .uniform(.f32(2), -1...1),
                .uniform(.f32(2), 0.5...2), .uniform(.f32(2), -2...2),
            ]),
        Specimen(
            BatchNormGradient(epsilon: 1e-3),
            operands: [
                .uniform(.f32(3, 2, 2, 3), -2...2), .uniform(.f32(3, 2, 2, 3), -2...2), .uniform(.f32(2), -1...1),
                .uniform(.f32(2), 0.5...2),
            ]),
    ]
}

/// Rows of a tensor whose channels lie innermost; `nil` when they do not, or the kernels do not take its elements.
func batchNormRows(_ x: TensorType) -> Int? {
    let isInnermost =
        x.rank == 2 || x.layout != .plain || x.shape.dropFirst(2).allSatisfy { $0 == 1 } || x.shape[1] == 1
    return x.element == .f32 && x.isDense && isInnermost && x.shape[1] > 0 ? x.count / x.shape[1] : nil
}
