import CKernels
import IR
import RealModule

/// `y = tanh(x)`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Tanh: ParametricActivation {
    public static let mnemonic = "tanh"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.tanh(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        m.call("tanh", x)
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        let one = g.constant(1, like: y)
        return try g.append(Subtract(), one, g.append(Multiply(), y, y))
    }
    public static var kernelCode: Int? { MARTLET_TANH }
    public static var onnxName: (opType: String, since: Int) { ("Tanh", 13) }

    public static var specimens: [Specimen] { [Specimen(Tanh(), on: .f32(2, 3, 4))] }
}
