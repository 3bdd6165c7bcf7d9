import CKernels
import IR

/// `y = -x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Negate: UnaryElementwise {
    public static let mnemonic = "negate"

    public init() {}
    public static var elements: [ElementType] { ElementType.floats + [.i64, .i32, .i16, .i8] }

    public func apply<R: Scalar>(_ x: R) -> R { -x }
    public func apply(_ x: Int64) -> Int64 { 0 &- x }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        "-" + x
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        g.constant(-1, like: x)
    }
    public static var kernelCode: Int? { MARTLET_NEGATE }
    public static var onnxName: (opType: String, since: Int) { ("Neg", 13) }

    public static var specimens: [Specimen] {
        [Specimen(Negate(), on: .f32(2, 3, 4)), Specimen(Negate(), on: .i64(3))]
    }
}
