import CKernels
import IR
import RealModule

/// `y = log(x)`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Log: UnaryElementwise {
    public static let mnemonic = "log"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.log(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        m.call("log", x)
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        try g.append(Reciprocal(), x)
    }
    public static var kernelCode: Int? { MARTLET_LOG }
    public static var onnxName: (opType: String, since: Int) { ("Log", 13) }

    public static var specimens: [Specimen] { [Specimen(Log(), on: .f32(2, 3, 4), range: 0.5...3)] }
}
