import CKernels
import IR

/// `y = Σ w[k] · x[k]`: the mixture of a relaxed choice.
///
/// - Shapes: `w: [K], x1, …, xK: [any, all the same] → y: [same]`.
public struct WeightedSum: Operator {
    public static let mnemonic = "weighted_sum"

    public init() {}

    public var layoutRule: LayoutRule { .elementwise }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        guard x.count >= 2, x[0].shape == [x.count - 1], x[1...].allSatisfy({ $0 == x[1] }),
            x[0].element == x[1].element
        else {
            throw ShapeError("weighted_sum expects K weights and K tensors of one type, found \(x)")
        }
        return [try x[1].requireFloat(for: self)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        var result = [R](repeating: 0, count: y[0].count)
        for (weight, operand) in zip(x[0].reals, x.dropFirst()) {
            for (i, value) in operand.reals.enumerated() { result[i] += weight * value }
        }
        return [ReferenceTensor(y[0], result)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return p.operands.map { _ in nil } }
        let weights = p.operands[0], count = p.operands.count - 1
        let dw = p.needed[0] ? try g.appendAll(WeightedSumDots(), [dy] + p.operands.dropFirst())[0] : nil
        var gradients: [Value?] = [dw]
        for k in 0..<count {
            guard p.needed[k + 1] else {
                gradients.append(nil)
                continue
            }
            let weight = try g.append(Reshape([]), g.append(Slice(axis: 0, start: k, size: 1, of: [count]), weights))
            gradients.append(try g.append(Multiply(), dy, weight))
        }
        return gradients
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { y[0].count * (x.count - 1) }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard isUniform(x[1...] + y) else { return nil }
        return KernelCall(martlet_weighted_sum, integers: [x.count - 1, y[0].count])
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let sum = (1..<x.count).map { "x0[\($0 - 1)] * x\($0)[i]" }.joined(separator: " + ")
        return CBody("for (size_t i = 0; i < \(y[0].count); ++i) y0[i] = \(sum);\n")
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let count = x.count - 1
        var sum: Value?
        for k in 0..<count {
            let weight = try g.append(Reshape([]), g.append(Slice(axis: 0, start: k, size: 1, of: [count]), x[0]))
            let term = try g.append(Multiply(), x[k + 1], weight)
            sum = try sum.map { value throws(ShapeError) in try g.append(Add(), value, term) } ?? term
        }
        return sum.map { [$0] }
    }

    public static let specimens = [Specimen(WeightedSum(), on: .f32(3), .f32(2, 3, 4), .f32(2, 3, 4), .f32(2, 3, 4))]
}

/// The dot products of `d` with each tensor: the gradient of a weighted sum with respect to its weights.
///
/// - Shapes: `d, x1, …, xK: [any, all the same] → y: [K]`.
public struct WeightedSumDots: Operator {
    public static let mnemonic = "weighted_sum_dots"

    public init() {}

    public var layoutRule: LayoutRule { .elementwise }
    public var isTrainingOnly: Bool { true }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        guard x.count >= 2, x.allSatisfy({ $0 == x[0] }) else {
            throw ShapeError("weighted_sum_dots expects tensors of one type, found \(x)")
        }
        return [x[0].with(shape: [x.count - 1])]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let d = x[0].reals
        return [ReferenceTensor(y[0], x.dropFirst().map { zip(d, $0.reals).reduce(0) { $0 + $1.0 * $1.1 } })]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dw = p.gradients[0] else { return p.operands.map { _ in nil } }
        let count = p.operands.count - 1
        var gradients: [Value?] = [p.needed[0] ? try g.appendAll(WeightedSum(), [dw] + p.operands.dropFirst())[0] : nil]
        for k in 0..<count {
            let weight = try g.append(Reshape([]), g.append(Slice(axis: 0, start: k, size: 1, of: [count]), dw))
            gradients.append(p.needed[k + 1] ? try g.append(Multiply(), p.operands[0], weight) : nil)
        }
        return gradients
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard isUniform(x) else { return nil }
        return KernelCall(
            martlet_weighted_sum_dots, integers: [x.count - 1, x[0].count], phases: 2,
            scratch: { martlet_weighted_sum_dots_scratch($0[0], Int32($1)) })
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { x[0].count * (x.count - 1) }

    public static let specimens = [Specimen(WeightedSumDots(), on: .f32(2, 3, 4), .f32(2, 3, 4), .f32(2, 3, 4))]
}

/// Whether the kernels can walk these tensors as one flat array each.
private func isUniform(_ types: [TensorType]) -> Bool {
    types.allSatisfy { $0 == types[0] && $0.element == .f32 && $0.isDense }
}
