import CKernels
import IR
import RealModule

/// The error function, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Erf: UnaryElementwise {
    public static let mnemonic = "erf"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.erf(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        m.call("erf", x)
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        // y' = 2/√π exp(-x²)
        let square = try g.append(Negate(), g.append(Multiply(), x, x))
        return try g.append(Multiply(), g.append(Exp(), square), g.constant(1.1283791670955126, like: x))
    }
    public static var kernelCode: Int? { MARTLET_ERF }
    public static var onnxName: (opType: String, since: Int) { ("Erf", 13) }

    public static var specimens: [Specimen] { [Specimen(Erf(), on: .f32(2, 3, 4))] }
}
