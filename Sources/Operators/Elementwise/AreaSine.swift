import IR
import RealModule

/// `y = arsinh x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct AreaSine: UnaryElementwise {
    public static let mnemonic = "area_sine"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.asinh(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("asinh", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        let square = try g.append(Multiply(), x, x), one = g.constant(1, like: x)
        return try g.append(Reciprocal(), g.append(Sqrt(), g.append(Add(), square, one)))
    }
    public static var onnxName: (opType: String, since: Int) { ("Asinh", 9) }

    public static var specimens: [Specimen] { [Specimen(AreaSine(), on: .f32(2, 3, 4), range: -2...2)] }
}
