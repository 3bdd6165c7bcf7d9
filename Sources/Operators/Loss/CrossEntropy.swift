import CKernels
import IR

/// The mean over the batch of the cross-entropy between labels and the softmax of logits, with label smoothing.
///
/// The target of an example is `(1 - smoothing)` at its label plus `smoothing / classes` everywhere.
///
/// - Shapes: `logits: [N, classes], labels: i32 or i64 [N] → loss: []`.
/// - Source: Szegedy et al., *Rethinking the Inception Architecture*, CVPR 2016, section 7.
public struct CrossEntropy: Operator {
    public static let mnemonic = "cross_entropy"
    public var smoothing = 0.0

    public init() {}
    public init(smoothing: Double) { self.smoothing = smoothing }

    public var isTrainingOnly: Bool { true }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self), logits = try x[0].requireFloat(for: self).require(rank: 2, for: self)
        guard [.i32, .i64].contains(x[1].element), x[1].shape == [logits.shape[0]] else {
            throw ShapeError("cross_entropy expects one integer label a row of \(logits), found \(x[1])")
        }
        return [logits.with(shape: [])]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let targets = try g.append(
            OneHot(classes: g.type(of: x[0]).shape[1], smoothing: smoothing, element: g.type(of: x[0]).element), x[1])
        return [try g.append(SoftCrossEntropy(), x[0], targets)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let d = p.gradients[0] else { return [nil, nil] }
        return [try g.append(CrossEntropyGradient(smoothing: smoothing), p.operands[0], p.operands[1], d), nil]
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        lossCall(martlet_cross_entropy, x, reals: [smoothing])
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static let specimens = [
        Specimen(CrossEntropy(), on: .f32(4, 5), .i64(4)),
        Specimen(CrossEntropy(smoothing: 0.1), on: .f32(4, 5), .i32(4)),
    ]
}

/// The gradient of the cross-entropy with respect to the logits: `(softmax(logits) - target) · d / N`.
///
/// - Shapes: `logits: [N, classes], labels: [N], d: [] → dlogits: [N, classes]`.
public struct CrossEntropyGradient: Operator {
    public static let mnemonic = "cross_entropy_gradient"
    public var smoothing = 0.0

    public init() {}
    public init(smoothing: Double) { self.smoothing = smoothing }

    public var isTrainingOnly: Bool { true }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(3, for: self)
        guard try CrossEntropy().infer([x[0], x[1]])[0] == x[2] else {
            throw ShapeError("cross_entropy_gradient expects a scalar gradient, found \(x[2])")
        }
        return [x[0]]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let type = g.type(of: x[0])
        let targets = try g.append(OneHot(classes: type.shape[1], smoothing: smoothing, element: type.element), x[1])
        let difference = try g.append(Subtract(), g.append(Softmax(), x[0]), targets)
        let scale = try g.append(Multiply(), x[2], g.constant(1 / Double(type.shape[0]), like: x[2]))
        return [try g.append(Multiply(), difference, scale)]
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard x[0].isKernelArray else { return nil }
        return KernelCall(
            martlet_cross_entropy_gradient, integers: x[0].shape + [x[1].element == .i64 ? 1 : 0], reals: [smoothing])
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static let specimens = [
        Specimen(CrossEntropyGradient(smoothing: 0.1), on: .f32(4, 5), .i64(4), .f32()),
        Specimen(CrossEntropyGradient(), on: .f32(3, 7), .i32(3), .f32()),
    ]
}

/// The mean over the batch of the cross-entropy between target distributions and the softmax of logits.
///
/// - Shapes: `logits, targets: [N, classes] → loss: []`.
public struct SoftCrossEntropy: Operator {
    public static let mnemonic = "soft_cross_entropy"

    public init() {}

    public var isTrainingOnly: Bool { true }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self)
        guard x[0] == x[1], x[0].rank == 2 else {
            throw ShapeError("soft_cross_entropy expects two equal matrices, found \(x[0]) and \(x[1])")
        }
        return [x[0].with(shape: [])]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let product = try g.append(Multiply(), x[1], g.append(LogSoftmax(), x[0]))
        let sum = try g.append(ReduceSum(), product)
        return [try g.append(Multiply(), sum, g.constant(-1 / Double(g.type(of: x[0]).shape[0]), like: sum))]
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        lossCall(martlet_cross_entropy_soft, x)
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static let specimens = [Specimen(SoftCrossEntropy(), on: .f32(4, 5), .f32(4, 5))]
}

/// Distributions that put `1 - smoothing` on the label and `smoothing / classes` everywhere.
///
/// - Shapes: `labels: i32 or i64 [N] → y: [N, classes]`. A label out of range gets no peak.
public struct OneHot: Operator {
    public static let mnemonic = "one_hot"
    public var classes = 1
    public var smoothing = 0.0
    public var element = ElementType.f32

    public init() {}
    public init(classes: Int, smoothing: Double = 0, element: ElementType = .f32) {
        self.classes = classes
        self.smoothing = smoothing
        self.element = element
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self)
        guard x.element.isInteger else { throw ShapeError("one_hot expects integer labels, found \(x)") }
        return [TensorType(element, x.shape + [classes])]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        var result = [R](repeating: R(smoothing) / R(classes), count: y[0].count)
        for (i, label) in x[0].integers.enumerated() where label >= 0 && label < Int64(classes) {
            result[i * classes + Int(label)] += 1 - R(smoothing)
        }
        return [ReferenceTensor(y[0], result)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? { [nil] }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let math = CMath(element)
        return CBody(
            """
            for (size_t i = 0; i < \(x[0].count); ++i) {
                const int64_t label = (int64_t)x0[i];
                for (int64_t k = 0; k < \(classes); ++k) {
                    y0[i * \(classes) + (size_t)k] = \(math.literal(smoothing / Double(classes)));
                    if (k == label) y0[i * \(classes) + (size_t)k] += \(math.literal(1 - smoothing));
                }
            }

            """)
    }

    public static let specimens = [
        Specimen(OneHot(classes: 5, smoothing: 0.1), on: .i64(4)), Specimen(OneHot(classes: 3), on: .i32(2)),
    ]
}

private func lossCall(_ kernel: @escaping KernelCall.Function, _ x: [TensorType], reals: [Double] = []) -> KernelCall? {
    guard x[0].isKernelArray else { return nil }
    return KernelCall(
        kernel, integers: x[0].shape + [x[1].element == .i64 ? 1 : 0], reals: reals, phases: 2,
        scratch: { martlet_cross_entropy_scratch($0[1], Int32($1)) })
}
