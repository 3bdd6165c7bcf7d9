import IR
import RealModule

/// `y = sin x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Sine: UnaryElementwise {
    public static let mnemonic = "sine"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { R.sin(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("sin", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        try g.append(Cosine(), x)
    }
    public static var onnxName: (opType: String, since: Int) { ("Sin", 7) }

    public static var specimens: [Specimen] { [Specimen(Sine(), on: .f32(2, 3, 4), range: -2...2)] }
}
