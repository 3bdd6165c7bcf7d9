import IR

/// `y = ⌈x⌉`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Ceiling: UnaryElementwise {
    public static let mnemonic = "ceiling"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { x.rounded(.up) }
    public func expression(_ x: String, _ m: inout CMath) -> String { m.call("ceil", x) }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        g.constant(0, like: x)
    }
    public static var onnxName: (opType: String, since: Int) { ("Ceil", 13) }

    public static var specimens: [Specimen] {
        [Specimen(Ceiling(), on: .f32(2, 3, 4), range: -2...2, kinks: [-2, -1, 0, 1, 2])]
    }
}
