import CKernels
import IR

/// `y = max(x, 0)`, elementwise. NaN stays NaN.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Relu: ParametricActivation {
    public static let mnemonic = "relu"

    public init() {}
    public static var elements: [ElementType] { ElementType.floats + [.i64, .i32, .i16, .i8] }

    public func apply<R: Scalar>(_ x: R) -> R { x < 0 ? 0 : x }
    public func apply(_ x: Int64) -> Int64 { max(x, 0) }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        "(\(x) < 0 ? \(m.literal(0)) : \(x))"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        try g.append(Indicator(low: 0, high: .infinity), x)
    }
    public static var kernelCode: Int? { MARTLET_RELU }
    public static var onnxName: (opType: String, since: Int) { ("Relu", 14) }

    public static var specimens: [Specimen] { [Specimen(Relu(), on: .f32(2, 3, 4), kinks: [0])] }
}
