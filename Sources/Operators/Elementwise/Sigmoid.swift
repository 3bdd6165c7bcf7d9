import CKernels
import IR
import RealModule

/// `y = 1 / (1 + exp(-x))`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Sigmoid: ParametricActivation {
    public static let mnemonic = "sigmoid"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { 1 / (1 + R.exp(-x)) }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        "\(m.literal(1)) / (\(m.literal(1)) + \(m.call("exp", "-" + x)))"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        let one = g.constant(1, like: y)
        return try g.append(Multiply(), y, g.append(Subtract(), one, y))
    }
    public static var kernelCode: Int? { MARTLET_SIGMOID }
    public static var onnxName: (opType: String, since: Int) { ("Sigmoid", 13) }

    public static var specimens: [Specimen] { [Specimen(Sigmoid(), on: .f32(2, 3, 4))] }
}
