import IR

/// `y = ⌊x⌋`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Floor: UnaryElementwise {
    public static let mnemonic = "floor"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { x.rounded(.down) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("floor", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        g.constant(0, like: x)
    }
    public static var onnxName: (opType: String, since: Int) { ("Floor", 13) }

    public static var specimens: [Specimen] {
        [Specimen(Floor(), on: .f32(2, 3, 4), range: -2...2, kinks: [-2, -1, 0, 1, 2])]
    }
}
