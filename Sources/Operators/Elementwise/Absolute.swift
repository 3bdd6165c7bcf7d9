import CKernels
import IR

/// `y = |x|`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Absolute: UnaryElementwise {
    public static let mnemonic = "abs"

    public init() {}
    public static var elements: [ElementType] { ElementType.numbers }

    public func apply<R: Scalar>(_ x: R) -> R { x.magnitude }
    public func apply(_ x: Int64) -> Int64 { x < 0 ? 0 &- x : x }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        x.isEmpty
            ? x : m.element.isFloatingPoint ? m.call("fabs", x) : m.element.isSigned ? "(\(x) < 0 ? -\(x) : \(x))" : x
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        try g.append(Sign(), x)
    }
    public static var kernelCode: Int? { MARTLET_ABS }
    public static var onnxName: (opType: String, since: Int) { ("Abs", 13) }

    public static var specimens: [Specimen] {
        [Specimen(Absolute(), on: .f32(2, 3, 4), kinks: [0]), Specimen(Absolute(), on: .i32(3))]
    }
}
