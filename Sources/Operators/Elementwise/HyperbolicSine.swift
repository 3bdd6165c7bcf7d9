import IR
import RealModule

/// `y = sinh x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct HyperbolicSine: UnaryElementwise {
    public static let mnemonic = "hyperbolic_sine"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.sinh(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("sinh", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        try g.append(HyperbolicCosine(), x)
    }
    public static var onnxName: (opType: String, since: Int) { ("Sinh", 9) }

    public static var specimens: [Specimen] { [Specimen(HyperbolicSine(), on: .f32(2, 3, 4), range: -2...2)] }
}
