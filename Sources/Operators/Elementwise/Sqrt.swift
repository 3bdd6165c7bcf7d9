import CKernels
import IR

/// `y = √x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Sqrt: UnaryElementwise {
    public static let mnemonic = "sqrt"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { x.squareRoot() }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        m.call("sqrt", x)
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        try g.append(Divide(), g.constant(0.5, like: y), y)
    }
    public static var kernelCode: Int? { MARTLET_SQRT }
    public static var onnxName: (opType: String, since: Int) { ("Sqrt", 13) }

    public static var specimens: [Specimen] { [Specimen(Sqrt(), on: .f32(2, 3, 4), range: 0.5...3)] }
}
