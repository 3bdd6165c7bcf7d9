import CKernels
import IR

/// One term of a sum of images: normalised or not, weighted or not.
public struct NormalizedTerm: Codable, Hashable, Sendable {
    /// Whether it has a scale and a shift by channel.
    public var normalizes = false
    /// Which element of its vector of weights it is multiplied with; none when negative.
    public var weight = -1

    public init(normalizes: Bool = false, weight: Int = -1) { (self.normalizes, self.weight) = (normalizes, weight) }

    var flags: [Int] { [(normalizes ? 1 : 0) + (weight >= 0 ? 2 : 0), max(weight, 0)] }
}

/// `y = f(Σ w[i] · (scale · x + shift))`: a mixture of normalised images that never exist by themselves.
///
/// - Shapes: for every term `x: [N, C, H, W]`, then `scale, shift: [C]` where it is normalised and `w: [any]` where it is
///   weighted `→ y: [N, C, H, W]`.
public struct NormalizedSum: Operator {
    public static let mnemonic = "normalized_sum"
    public var terms: [NormalizedTerm] = []
    public var activation = NormalisedActivation()

    public init() {}
    public init(_ terms: [NormalizedTerm], activation: NormalisedActivation = NormalisedActivation()) {
        (self.terms, self.activation) = (terms, activation)
    }

    /// The operands of every term.
    func split<T>(_ x: [T], coefficients: Int, weights: Bool) throws(ShapeError) -> [[T]] {
        var parts: [[T]] = [], at = 0
        for term in terms {
            let count = 1 + (term.normalizes ? coefficients : 0) + (weights && term.weight >= 0 ? 1 : 0)
            guard at + count <= x.count else {
                throw ShapeError("too few operands for \(terms.count) terms: \(x.count)")
            }
            parts.append(Array(x[at..<at + count]))
            at += count
        }
        guard at == x.count, !terms.isEmpty else {
            throw ShapeError("\(terms.count) terms take \(at) operands, found \(x.count)")
        }
        return parts
    }

    public var layoutRule: LayoutRule {
        var images: [Int] = [], at = 0
        for term in terms {
            images.append(at)
            at += 1 + (term.normalizes ? 2 : 0) + (term.weight >= 0 ? 1 : 0)
        }
        return .images(operands: images, results: [0])
    }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        _ = try activation.makeOperator()
        let parts = try split(x, coefficients: 2, weights: true)
        let image = try parts[0][0].requireFloat(for: self).require(rank: 4, for: self)
        for (term, part) in zip(terms, parts) {
            let channels = image.with(shape: [image.shape[1]])
            guard part[0] == image, !term.normalizes || (part[1] == channels && part[2] == channels),
                term.weight < 0 || part[part.count - 1].count > term.weight
            else { throw ShapeError("normalized_sum: a term of \(image) has operands \(part)") }
        }
        return [image]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        var sum: Value?
        for (term, part) in zip(terms, try split(x, coefficients: 2, weights: true)) {
            var value = term.normalizes ? try g.scaled(part[0], part[1], part[2]) : part[0]
            if term.weight >= 0 {
                value = try g.append(Multiply(), value, g.element(part[part.count - 1], term.weight))
            }
            sum = try sum.map { sum throws(ShapeError) in try g.append(Add(), sum, value) } ?? value
        }
        guard let sum else { return nil }
        return [try activation.apply(sum, in: &g)]
    }
    public var isTrainingOnly: Bool { true }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard y[0].isFusedImage, terms.count <= MARTLET_MAX_TERMS,
            x.allSatisfy({ $0.rank != 4 || $0 == y[0] })
        else { return nil }
        return KernelCall(
            martlet_normalized_sum,
            integers: [terms.count, y[0].imageRows, y[0].shape[1], activation.code] + terms.flatMap(\.flags),
            reals: activation.reals
        ) { martlet_normalized_sum_scratch($0[0], $0[2], Int32($1)) }
    }

    public static let specimens = [
        Specimen(
            NormalizedSum(
                [.init(normalizes: true, weight: 2), .init(), .init(weight: 0), .init(normalizes: true)],
                activation: .init(of: HardSwish())), on: .f32(2, 3, 3, 5), .f32(3), .f32(3), .f32(3), .f32(2, 3, 3, 5),
            .f32(2, 3, 3, 5), .f32(1), .f32(2, 3, 3, 5), .f32(3), .f32(3), differentiable: false),
        Specimen(
            NormalizedSum([.init(normalizes: true), .init(normalizes: true, weight: 1)]), on: .f32(3, 4, 2, 3), .f32(4),
            .f32(4), .f32(3, 4, 2, 3), .f32(4), .f32(4), .f32(2)),
    ]
}

/// The products of `g` with the terms of a ``NormalizedSum``: the gradient of its weights, and all that the gradients of its
/// normalisations need.
///
/// `dw[i]` is the sum of `g · (scale · x + shift)` over the terms of weight `i`; row 0 of `sums` is the sum of `g` by channel, row
/// `k` that of `g · (x - mean)` for term `k`, counted from 1, `mean` being 0 where a term is not normalised.
///
/// - Shapes: `g: [N, C, H, W]`, for every term `x: [N, C, H, W]`, then `mean, scale, shift: [C]` where it is normalised
///   `→ dw: [weights], sums: [terms + 1, C]`.
public struct NormalizedDots: Operator {
    public static let mnemonic = "normalized_dots"
    public var terms: [NormalizedTerm] = []
    public var weights = 1

    public init() {}
    public init(_ terms: [NormalizedTerm], weights: Int) { (self.terms, self.weights) = (terms, weights) }

    public var layoutRule: LayoutRule {
        var images = [0], at = 1
        for term in terms {
            images.append(at)
            at += term.normalizes ? 4 : 1
        }
        return .images(operands: images, results: [])
    }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        guard let image = x.first, image.rank == 4, terms.allSatisfy({ (0..<weights).contains($0.weight) }) else {
            throw ShapeError(
                "normalized_dots expects an image, and a weight below \(weights) for every term; found \(x)")
        }
        let channels = image.with(shape: [image.shape[1]])
        for part in try NormalizedSum(terms).split(Array(x.dropFirst()), coefficients: 3, weights: false)
        where part[0] != image || part.dropFirst().contains(where: { $0 != channels }) {
            throw ShapeError("normalized_dots: a term of \(image) has operands \(part)")
        }
        return [image.with(shape: [weights]), image.with(shape: [terms.count + 1, image.shape[1]])]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let c = g.type(of: x[0]).shape[1]
        var rows = [try g.append(Reshape([1, c]), g.append(ReduceSum(axes: [0, 2, 3]), x[0]))]
        var dw = [Value?](repeating: nil, count: weights)
        for (term, part) in zip(
            terms, try NormalizedSum(terms).split(Array(x.dropFirst()), coefficients: 3, weights: false))
        {
            var (plain, value) = (part[0], part[0])
            if term.normalizes {
                plain = try g.append(Subtract(), part[0], g.append(Reshape([c, 1, 1]), part[1]))
                value = try g.scaled(part[0], part[2], part[3])
            }
            let products = try g.append(ReduceSum(axes: [0, 2, 3]), g.append(Multiply(), x[0], plain))
            rows.append(try g.append(Reshape([1, c]), products))
            let total = try g.append(ReduceSum(axes: [0, 1, 2, 3]), g.append(Multiply(), x[0], value))
            dw[term.weight] =
                try dw[term.weight].map { known throws(ShapeError) in try g.append(Add(), known, total) } ?? total
        }
        var elements: [Value] = []
        for value in dw { elements.append(try g.append(Reshape([1]), value ?? g.constant(0, like: x[0]))) }
        let joined = elements.count == 1 ? elements : try g.appendAll(Concat(axis: 0), elements)
        return joined + (try g.appendAll(Concat(axis: 0), rows))
    }
    public var isTrainingOnly: Bool { true }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { x[0].count * terms.count }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard x[0].isFusedImage, terms.count <= MARTLET_MAX_TERMS, x.allSatisfy({ $0.rank != 4 || $0 == x[0] }) else {
            return nil
        }
        return KernelCall(
            martlet_normalized_dots,
            integers: [terms.count, x[0].imageRows, x[0].shape[1], weights] + terms.flatMap(\.flags), phases: 2
        ) { martlet_normalized_dots_scratch($0[0], $0[2], Int32($1)) }
    }

    public static let specimens = [
        Specimen(
            NormalizedDots([.init(normalizes: true, weight: 2), .init(weight: 0)], weights: 4), on: .f32(2, 3, 3, 5),
            .f32(2, 3, 3, 5), .f32(3), .f32(3), .f32(3), .f32(2, 3, 3, 5))
    ]
}

extension GraphBuilder {
    /// One element of a vector, as a scalar.
    mutating func element(_ vector: Value, _ index: Int) throws(ShapeError) -> Value {
        let flat = try append(Reshape([type(of: vector).count]), vector)
        return try append(Reshape([]), append(Slice(axis: 0, start: index, size: 1, of: type(of: flat).shape), flat))
    }
}
