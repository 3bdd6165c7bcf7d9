import CKernels
import IR
import RealModule

/// `y = exp(x)`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Exp: UnaryElementwise {
    public static let mnemonic = "exp"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.exp(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        m.call("exp", x)
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        y
    }
    public static var kernelCode: Int? { MARTLET_EXP }
    public static var onnxName: (opType: String, since: Int) { ("Exp", 13) }

    public static var specimens: [Specimen] { [Specimen(Exp(), on: .f32(2, 3, 4))] }
}
