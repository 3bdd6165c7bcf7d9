import IR
import RealModule

/// `y = arcsin x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct ArcSine: UnaryElementwise {
    public static let mnemonic = "arc_sine"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.asin(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("asin", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        let square = try g.append(Multiply(), x, x), one = g.constant(1, like: x)
        return try g.append(Reciprocal(), g.append(Sqrt(), g.append(Subtract(), one, square)))
    }
    public static var onnxName: (opType: String, since: Int) { ("Asin", 7) }

    public static var specimens: [Specimen] { [Specimen(ArcSine(), on: .f32(2, 3, 4), range: -0.9...0.9)] }
}
