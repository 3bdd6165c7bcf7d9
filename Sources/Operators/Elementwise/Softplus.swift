import CKernels
import IR
import RealModule

/// `y = log(1 + exp(x))`, elementwise, without overflow.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Softplus: UnaryElementwise {
    public static let mnemonic = "softplus"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { max(x, 0) + R.log(onePlus: R.exp(-abs(x))) }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        "(\(x) > 0 ? \(x) : \(m.literal(0))) + \(m.call("log1p", m.call("exp", "-" + m.call("fabs", x))))"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        try g.append(Sigmoid(), x)
    }
    public static var kernelCode: Int? { MARTLET_SOFTPLUS }
    public static var onnxName: (opType: String, since: Int) { ("Softplus", 1) }

    public static var specimens: [Specimen] { [Specimen(Softplus(), on: .f32(2, 3, 4))] }
}
