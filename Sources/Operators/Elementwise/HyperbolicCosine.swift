import IR
import RealModule

/// `y = cosh x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct HyperbolicCosine: UnaryElementwise {
    public static let mnemonic = "hyperbolic_cosine"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.cosh(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("cosh", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        try g.append(HyperbolicSine(), x)
    }
    public static var onnxName: (opType: String, since: Int) { ("Cosh", 9) }

    public static var specimens: [Specimen] { [Specimen(HyperbolicCosine(), on: .f32(2, 3, 4), range: -2...2)] }
}
