import IR
import RealModule

/// `y = arcosh x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct AreaCosine: UnaryElementwise {
    public static let mnemonic = "area_cosine"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.acosh(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("acosh", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        let square = try g.append(Multiply(), x, x), one = g.constant(1, like: x)
        return try g.append(Reciprocal(), g.append(Sqrt(), g.append(Subtract(), square, one)))
    }
    public static var onnxName: (opType: String, since: Int) { ("Acosh", 9) }

    public static var specimens: [Specimen] { [Specimen(AreaCosine(), on: .f32(2, 3, 4), range: 1.5...3)] }
}
