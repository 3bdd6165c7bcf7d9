import CKernels
import IR
import RealModule

/// `y = x · sigmoid(x)`, elementwise; also called swish.
///
/// - Shapes: `x: [any] → y: [same]`.
/// - Source: Elfwing et al., *Sigmoid-weighted linear units*, 2017; Ramachandran et al., 2017.
public struct Silu: ParametricActivation {
    public static let mnemonic = "silu"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { x / (1 + R.exp(-x)) }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        "\(x) / (\(m.literal(1)) + \(m.call("exp", "-" + x)))"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        // y' = s + y (1 - s) with s = sigmoid(x).
        let s = try g.append(Sigmoid(), x), one = g.constant(1, like: x)
        let rest = try g.append(Multiply(), y, g.append(Subtract(), one, s))
        return try g.append(Add(), s, rest)
    }
    public static var kernelCode: Int? { MARTLET_SILU }
    public static var onnxName: (opType: String, since: Int) { ("Swish", 24) }

    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        [try g.append(Multiply(), x[0], g.append(Sigmoid(), x[0]))]
    }
    // Written as sigmoid and product: readers of the operator set we write do not know the operator.
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? { nil }
    public static var onnxImports: [ONNXImport] { [] }

    public static var specimens: [Specimen] { [Specimen(Silu(), on: .f32(2, 3, 4))] }
}
