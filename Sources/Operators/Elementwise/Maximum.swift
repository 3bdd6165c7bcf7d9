import CKernels
import IR

/// `y = max(a, b)`, broadcasting; NaN wins.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`.
public struct Maximum: BinaryElementwise {
    public static let mnemonic = "maximum"

    public init() {}

    public func apply<R: Scalar>(_ a: R, _ b: R) -> R { a.isNaN || a > b ? a : b }
    public func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64 {
        element == .u64 ? (UInt64(bitPattern: a) > UInt64(bitPattern: b) ? a : b) : a > b ? a : b
    }
    public func expression(_ a: String, _ b: String, _ m: inout CMath) -> String {
        m.element.isFloatingPoint ? "(\(a) != \(a) || \(a) > \(b) ? \(a) : \(b))" : "(\(a) > \(b) ? \(a) : \(b))"
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil, nil] }
        let (a, b) = (p.operands[0], p.operands[1])
        let isA = try g.append(Greater(), a, b), zero = g.constant(0, like: dy)
        let da = try g.append(Where(), isA, dy, zero), db = try g.append(Where(), isA, zero, dy)
        return [try g.sum(da, toShapeOf: a), try g.sum(db, toShapeOf: b)]
    }
    public static var kernelCode: Int? { MARTLET_MAXIMUM }
    public static var onnxName: (opType: String, since: Int) { ("Max", 13) }
    // Read by ``Registry/elementwiseImports``, with what this operator alone does not take.
    public static var onnxImports: [ONNXImport] { [] }

    public static var specimens: [Specimen] {
        [
            Specimen(Maximum(), on: .f32(2, 3, 4), .f32(2, 3, 4)),
            Specimen(Maximum(), on: .f32(2, 3, 4, 5), .f32(3, 1, 1)),
            Specimen(Maximum(), on: .f32(2, 3, 4, 5), .f32(2, 3, 1, 1)), Specimen(Maximum(), on: .f32(), .f32(2, 1)),
        ]
    }
}
