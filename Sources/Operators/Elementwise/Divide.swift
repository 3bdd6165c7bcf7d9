import CKernels
import IR

/// `y = a / b`, broadcasting; integers truncate towards zero.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`.
public struct Divide: BinaryElementwise {
    public static let mnemonic = "divide"

    public init() {}

    public func apply<R: Scalar>(_ a: R, _ b: R) -> R { a / b }
    public func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64 {
        b == 0
            ? 0
            : element == .u64
                ? Int64(bitPattern: UInt64(bitPattern: a) / UInt64(bitPattern: b))
                : a.dividedReportingOverflow(by: b).partialValue
    }
    public func expression(_ a: String, _ b: String, _ m: inout CMath) -> String {
        m.element.isFloatingPoint ? "\(a) / \(b)" : "(\(b) == 0 ? 0 : \(a) / \(b))"
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil, nil] }
        let (a, b) = (p.operands[0], p.operands[1])
        let da = try g.append(Divide(), dy, b)
        let db = try g.append(Negate(), g.append(Multiply(), da, p.results[0]))
        return [try g.sum(da, toShapeOf: a), try g.sum(db, toShapeOf: b)]
    }
    public static var kernelCode: Int? { MARTLET_DIVIDE }
    public static var onnxName: (opType: String, since: Int) { ("Div", 14) }

    public static var specimens: [Specimen] {
        [
            Specimen(Divide(), on: .f32(2, 3, 4), .f32(2, 3, 4), range: 0.5...3),
            Specimen(Divide(), on: .f32(2, 3, 4, 5), .f32(3, 1, 1), range: 0.5...3),
            Specimen(Divide(), on: .f32(2, 3, 4, 5), .f32(2, 3, 1, 1), range: 0.5...3),
            Specimen(Divide(), on: .f32(), .f32(2, 1), range: 0.5...3),
        ]
    }
}
