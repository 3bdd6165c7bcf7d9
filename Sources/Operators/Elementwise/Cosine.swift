import IR
import RealModule

/// `y = cos x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Cosine: UnaryElementwise {
    public static let mnemonic = "cosine"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.cos(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("cos", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        try g.append(Negate(), g.append(Sine(), x))
    }
    public static var onnxName: (opType: String, since: Int) { ("Cos", 7) }

    public static var specimens: [Specimen] { [Specimen(Cosine(), on: .f32(2, 3, 4), range: -2...2)] }
}
