import CKernels
import IR
import RealModule

/// `y = x · Φ(x)` with Φ the normal distribution function, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
/// - Source: Hendrycks & Gimpel, *Gaussian Error Linear Units*, 2016.
public struct Gelu: ParametricActivation {
    public static let mnemonic = "gelu"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { x * (1 + R.erf(x * R(0.5).squareRoot())) / 2 }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        "\(m.literal(0.5)) * \(x) * (\(m.literal(1)) + \(m.call("erf", "\(x) * \(m.literal(0.5.squareRoot()))")))"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        // y' = Φ(x) + x φ(x).
        let half = g.constant(0.5, like: x)
        let erf = try g.append(Erf(), g.append(Multiply(), x, g.constant(0.5.squareRoot(), like: x)))
        let cdf = try g.append(Multiply(), half, g.append(Add(), erf, g.constant(1, like: x)))
        let square = try g.append(Multiply(), g.append(Multiply(), x, x), g.constant(-0.5, like: x))
        let pdf = try g.append(Multiply(), g.append(Exp(), square), g.constant(0.3989422804014327, like: x))
        return try g.append(Add(), cdf, g.append(Multiply(), x, pdf))
    }
    public static var kernelCode: Int? { MARTLET_GELU }
    public static var onnxName: (opType: String, since: Int) { ("Gelu", 20) }

    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let erf = try g.append(Erf(), g.append(Multiply(), x[0], g.constant(0.5.squareRoot(), like: x[0])))
        let sum = try g.append(Add(), erf, g.constant(1, like: x[0]))
        return [try g.append(Multiply(), g.append(Multiply(), x[0], g.constant(0.5, like: x[0])), sum)]
    }
    // Gelu is an operator of its own only from operator set 20 on.
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? { nil }
    // Read by ``Registry/elementwiseImports``, with the approximation that ONNX also has.
    public static var onnxImports: [ONNXImport] { [] }

    public static var specimens: [Specimen] { [Specimen(Gelu(), on: .f32(2, 3, 4))] }
}
