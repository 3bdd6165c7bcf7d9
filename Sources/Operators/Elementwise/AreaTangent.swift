import IR
import RealModule

/// `y = artanh x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct AreaTangent: UnaryElementwise {
    public static let mnemonic = "area_tangent"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.atanh(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("atanh", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        let square = try g.append(Multiply(), x, x), one = g.constant(1, like: x)
        return try g.append(Reciprocal(), g.append(Subtract(), one, square))
    }
    public static var onnxName: (opType: String, since: Int) { ("Atanh", 9) }

    public static var specimens: [Specimen] { [Specimen(AreaTangent(), on: .f32(2, 3, 4), range: -0.9...0.9)] }
}
