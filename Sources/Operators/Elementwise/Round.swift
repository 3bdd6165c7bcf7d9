import IR

/// `y = the nearest integer to x`, elementwise, halves to the even one.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Round: UnaryElementwise {
    public static let mnemonic = "round"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { x.rounded(.toNearestOrEven) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("rint", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        g.constant(0, like: x)
    }
    public static var onnxName: (opType: String, since: Int) { ("Round", 11) }

    public static var specimens: [Specimen] {
        [Specimen(Round(), on: .f32(2, 3, 4), range: -2...2, kinks: [-1.5, -0.5, 0.5, 1.5])]
    }
}
