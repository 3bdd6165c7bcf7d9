import IR
import RealModule

/// `y = arctan x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct ArcTangent: UnaryElementwise {
    public static let mnemonic = "arc_tangent"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.atan(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("atan", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        let square = try g.append(Multiply(), x, x), one = g.constant(1, like: x)
        return try g.append(Reciprocal(), g.append(Add(), one, square))
    }
    public static var onnxName: (opType: String, since: Int) { ("Atan", 7) }

    public static var specimens: [Specimen] { [Specimen(ArcTangent(), on: .f32(2, 3, 4), range: -2...2)] }
}
