import CKernels
import IR

/// `y = 1 / x`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Reciprocal: UnaryElementwise {
    public static let mnemonic = "reciprocal"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { 1 / x }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        "\(m.literal(1)) / \(x)"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        try g.append(Negate(), g.append(Multiply(), y, y))
    }
    public static var kernelCode: Int? { MARTLET_RECIPROCAL }
    public static var onnxName: (opType: String, since: Int) { ("Reciprocal", 13) }

    public static var specimens: [Specimen] { [Specimen(Reciprocal(), on: .f32(2, 3, 4), range: 0.5...3)] }
}
