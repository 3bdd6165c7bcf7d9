import CKernels
import IR

/// -1, 0 or 1, elementwise. Its gradient is zero.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Sign: UnaryElementwise {
    public static let mnemonic = "sign"

    public init() {}
    public static var elements: [ElementType] { ElementType.numbers }

    public func apply<R: Scalar>(_ x: R) -> R { x > 0 ? 1 : x < 0 ? -1 : 0 }
    public func apply(_ x: Int64) -> Int64 { x.signum() }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        "(\(m.element.cType))((\(x) > 0) - (\(x) < 0))"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        g.constant(0, like: x)
    }
    public static var kernelCode: Int? { MARTLET_SIGN }
    public static var onnxName: (opType: String, since: Int) { ("Sign", 13) }

    public static var specimens: [Specimen] { [Specimen(Sign(), on: .f32(2, 3, 4), kinks: [0])] }
}
