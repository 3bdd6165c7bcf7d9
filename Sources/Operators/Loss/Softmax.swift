import CKernels
import IR

/// `y = exp(x) / Σ exp(x)` along one axis, without overflow.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Softmax: Operator {
    public static let mnemonic = "softmax"
    public var axis = -1

    public init() {}
    public init(axis: Int) { self.axis = axis }

    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [0] }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self).requireFloat(for: self)
        _ = try TensorType.axis(axis, rank: x.rank, for: self)
        return [x]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let powers = try g.append(
            Exp(),
            g.append(
                Subtract(), x[0],
                g.append(StopGradient(), g.append(ReduceMax(axes: [axis], keepsDimensions: true), x[0]))))
        return [try g.append(Divide(), powers, g.append(ReduceSum(axes: [axis], keepsDimensions: true), powers))]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        let product = try g.append(Multiply(), dy, p.results[0])
        let sum = try g.append(ReduceSum(axes: [axis], keepsDimensions: true), product)
        return [try g.append(Subtract(), product, g.append(Multiply(), p.results[0], sum))]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        softmaxCall(x[0], axis: axis, isLogarithm: false)
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? { softmaxBody(x[0], axis: axis, isLogarithm: false) }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm("Softmax", since: 13, attributes: [("axis", .int(axis))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Softmax") { node, g throws(ONNXImportError) in
                try readSoftmax(node, &g) { Softmax(axis: $0) }
            }
        ]
    }

    public static let specimens = [
        Specimen(Softmax(), on: .f32(3, 5)), Specimen(Softmax(axis: 1), on: .f32(2, 4, 3)),
        Specimen(Softmax(axis: 0), on: .f32(4)),
    ]
}

/// `y = x - log Σ exp(x)` along one axis, without overflow.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct LogSoftmax: Operator {
    public static let mnemonic = "log_softmax"
    public var axis = -1

    public init() {}
    public init(axis: Int) { self.axis = axis }

    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [0] }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] { try Softmax(axis: axis).infer(x) }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let centred = try g.append(
            Subtract(), x[0], g.append(StopGradient(), g.append(ReduceMax(axes: [axis], keepsDimensions: true), x[0])))
        let sum = try g.append(ReduceSum(axes: [axis], keepsDimensions: true), g.append(Exp(), centred))
        return [try g.append(Subtract(), centred, g.append(Log(), sum))]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        let sum = try g.append(ReduceSum(axes: [axis], keepsDimensions: true), dy)
        return [try g.append(Subtract(), dy, g.append(Multiply(), g.append(Exp(), p.results[0]), sum))]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        softmaxCall(x[0], axis: axis, isLogarithm: true)
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? { softmaxBody(x[0], axis: axis, isLogarithm: true) }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm("LogSoftmax", since: 13, attributes: [("axis", .int(axis))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("LogSoftmax") { node, g throws(ONNXImportError) in
                try readSoftmax(node, &g) { LogSoftmax(axis: $0) }
            }
        ]
    }

    public static let specimens = [
        Specimen(LogSoftmax(), on: .f32(3, 5)), Specimen(LogSoftmax(axis: 1), on: .f32(2, 4, 3)),
    ]
}

/// Before operator set 13 the operand counts as a matrix, split at the axis.
private func readSoftmax(
    _ node: ONNXNode, _ g: inout GraphBuilder, _ make: (Int) -> any Operator
) throws(ONNXImportError) -> [Value] {
    let x = try node.required(0), shape = g.type(of: x).shape
    if node.opset >= 13 {
        let op = make(try node.int("axis", default: -1))
        return try importing { () throws(ShapeError) in try g.appendAll(op, [x], name: node.name) }
    }
    let axis = try node.int("axis", default: 1), at = axis < 0 ? axis + shape.count : axis
    guard (0...shape.count).contains(at) else {
        throw .malformed("axis \(axis) is outside a tensor of rank \(shape.count)")
    }
    let op = make(1)
    return try importing { () throws(ShapeError) in
        let matrix = try g.append(Reshape([shape[..<at].reduce(1, *), shape[at...].reduce(1, *)]), x)
        return [try g.append(Reshape(shape), g.appendAll(op, [matrix], name: node.name)[0])]
    }
}

private func softmaxBody(_ x: TensorType, axis: Int, isLogarithm: Bool) -> CBody {
    let axis = axis < 0 ? axis + x.rank : axis
    let (outer, n, inner) = (x.shape[..<axis].reduce(1, *), x.shape[axis], x.shape[(axis + 1)...].reduce(1, *))
    var m = CMath(x.element)
    let type = x.element.cType, power = m.call("exp", "x[i * \(inner)] - top")
    let step = isLogarithm ? "sum += \(power);" : "sum += y[i * \(inner)] = \(power);"
    let finish =
        isLogarithm
        ? "const \(type) shift = top + \(m.call("log", "sum"));\n        for (size_t i = 0; i < \(n); ++i) y[i * \(inner)] = x[i * \(inner)] - shift;"
        : "for (size_t i = 0; i < \(n); ++i) y[i * \(inner)] /= sum;"
    return CBody(
        """
        for (size_t o = 0; o < \(outer); ++o)
            for (size_t j = 0; j < \(inner); ++j) {
                const \(type) *x = x0 + o * \(n * inner) + j;
                \(type) *y = y0 + o * \(n * inner) + j;
                \(type) top = x[0], sum = \(m.literal(0));
                for (size_t i = 1; i < \(n); ++i) if (x[i * \(inner)] > top) top = x[i * \(inner)];
                for (size_t i = 0; i < \(n); ++i) \(step)
                \(finish)
            }

        """, mathFunctions: m.functions)
}

private func softmaxCall(_ x: TensorType, axis: Int, isLogarithm: Bool) -> KernelCall? {
    let axis = axis < 0 ? axis + x.rank : axis
    guard x.isKernelArray, x.rank > 0, x.shape[(axis + 1)...].allSatisfy({ $0 == 1 }), x.count > 0 else { return nil }
    return KernelCall(
        martlet_softmax, integers: [x.count / x.shape[axis], x.shape[axis], isLogarithm ? 1 : 0])
}
