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

/// The coefficients of batch normalisation's gradient: the gradient of `x` is `Σ a[k] · g[k] + b · x + d` where that of the
/// normalised `x` is `Σ w[k] · g[k]`, as of an image that stands in several mixtures.
///
/// `sums[k]` holds the sum of `g[k]` in its first row, and that of `g[k] · (x - mean)` in row `row` of its part; `w[k]` is element
/// `weight` of its vector, 1 where `weight` is negative.
///
/// - Shapes: for every part `sums: [rows, C]`, `mean, variance: [C], gain: [C]` (optional), for every weighted part `w: [any]`
///   `→` for every part `a: [C]`, `b, d: [C]`, with a gain also its gradient and that of the bias.
public struct BatchNormGradientScale: Operator {
    /// Where the sums of one gradient lie.
    public struct Part: Codable, Hashable, Sendable {
        public var row = 1
        public var weight = -1

        public init(row: Int = 1, weight: Int = -1) { (self.row, self.weight) = (row, weight) }
    }

    public static let mnemonic = "batch_norm_gradient_scale"
    public var epsilon = 1e-5
    /// How many elements a channel has.
    public var count = 1
    public var parts = [Part()]
    public var isAffine = false

    public init() {}
    public init(epsilon: Double, count: Int, parts: [Part], isAffine: Bool) {
        (self.epsilon, self.count, self.parts, self.isAffine) = (epsilon, count, parts, isAffine)
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let n = parts.count, weighted = parts.filter { $0.weight >= 0 }
        let vectors = n + (isAffine ? 3 : 2)
        guard n > 0, count > 0, x.count == vectors + weighted.count, x[n].rank == 1,
            x[n..<vectors].allSatisfy({ $0 == x[n] }),
            zip(parts, x).allSatisfy({ part, sums in
                sums.rank == 2 && part.row > 0 && sums == x[n].with(shape: [sums.shape[0], x[n].shape[0]])
                    && part.row < sums.shape[0]
            }), zip(weighted, x[vectors...]).allSatisfy({ $1.rank == 1 && $0.weight < $1.shape[0] })
        else {
            throw ShapeError("batch_norm_gradient_scale expects sums, mean, variance and what is named, found \(x)")
        }
        return [TensorType](repeating: try x[n].requireFloat(for: self), count: n + (isAffine ? 4 : 2))
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let n = parts.count, (mean, variance) = (x[n], x[n + 1])
        let c = g.type(of: mean).shape[0]
        let rstd = try g.append(
            Reciprocal(), g.append(Sqrt(), g.append(Add(), variance, g.constant(epsilon, like: variance))))
        let scale = isAffine ? try g.append(Multiply(), rstd, x[n + 2]) : rstd
        var sum: Value?, product: Value?
        var a: [Value] = [], weights = x[(n + (isAffine ? 3 : 2))...]
        for (part, sums) in zip(parts, x) {
            let rows = g.type(of: sums).shape[0]
            var factor: Value?
            if part.weight >= 0, let w = weights.popFirst() {
                factor = try g.append(Slice(axis: 0, start: part.weight, size: 1, of: g.type(of: w).shape), w)
            }
            func weighted(_ value: Value, _ g: inout GraphBuilder) throws(ShapeError) -> Value {
                guard let factor else { return value }
                return try g.append(Multiply(), value, factor)
            }
            func add(_ row: Int, to known: Value?, _ g: inout GraphBuilder) throws(ShapeError) -> Value {
                let line = try g.append(
                    Reshape([c]), g.append(Slice(axis: 0, start: row, size: 1, of: [rows, c]), sums))
                let term = try weighted(line, &g)
                guard let known else { return term }
                return try g.append(Add(), known, term)
            }
            sum = try add(0, to: sum, &g)
            product = try add(part.row, to: product, &g)
            a.append(try weighted(scale, &g))
        }
        guard let sum, let product else { return nil }
        // A quotient: whole numbers are exact in every type.
        let share = try g.append(Divide(), scale, g.constant(-Double(count), like: mean))
        let normal = try g.append(Multiply(), product, rstd)
        let b = try g.append(Multiply(), g.append(Multiply(), normal, rstd), share)
        let d = try g.append(Subtract(), g.append(Multiply(), share, sum), g.append(Multiply(), b, mean))
        return a + [b, d] + (isAffine ? [normal, sum] : [])
    }
    public var isTrainingOnly: Bool { true }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard x.allSatisfy({ $0.element == .f32 }) else { return nil }
        var call = KernelCall(
            martlet_batch_norm_gradient_scale,
            integers: [y[0].count, isAffine ? 1 : 0, count, parts.count] + parts.flatMap { [$0.row, $0.weight] },
            reals: [epsilon])
        call.isParallel = false
        return call
    }

    public static let specimens = [
        Specimen(
            BatchNormGradientScale(epsilon: 1e-3, count: 12, parts: [.init(row: 2, weight: 1)], isAffine: true),
            operands: [
                .uniform(.f32(3, 5), -2...2), .uniform(.f32(5), -1...1), .uniform(.f32(5), 0.5...2),
                .uniform(.f32(5), -2...2), .uniform(.f32(3), -2...2),
            ]),
        Specimen(
            BatchNormGradientScale(epsilon: 1e-5, count: 7, parts: [.init()], isAffine: false),
            operands: [.uniform(.f32(2, 4), -2...2), .uniform(.f32(4), -1...1), .uniform(.f32(4), 0.5...2)]),
        Specimen(
            BatchNormGradientScale(
                epsilon: 1e-5, count: 9, parts: [.init(row: 1, weight: 2), .init(), .init(row: 3, weight: 0)],
                isAffine: true),
            operands: [
                .uniform(.f32(2, 4), -2...2), .uniform(.f32(3, 4), -2...2), .uniform(.f32(4, 4), -2...2),
                .uniform(.f32(4), -1...1), .uniform(.f32(4), 0.5...2), .uniform(.f32(4), -2...2),
                .uniform(.f32(3), -2...2), .uniform(.f32(2), -2...2),
            ]),
    ]
}
