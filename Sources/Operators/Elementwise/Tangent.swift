import IR
import RealModule

/// `y = tan x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Tangent: UnaryElementwise {
    public static let mnemonic = "tangent"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.tan(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("tan", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        // y' = 1 + y².
        try g.append(Add(), g.append(Multiply(), y, y), g.constant(1, like: y))
    }
    public static var onnxName: (opType: String, since: Int) { ("Tan", 7) }

    public static var specimens: [Specimen] { [Specimen(Tangent(), on: .f32(2, 3, 4), range: -1...1)] }
}
