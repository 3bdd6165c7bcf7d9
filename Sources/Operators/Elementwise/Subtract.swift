import CKernels
import IR

/// `y = a - b`, broadcasting.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`.
public struct Subtract: BinaryElementwise {
    public static let mnemonic = "subtract"

    public init() {}

    public func apply<R: Scalar>(_ a: R, _ b: R) -> R { a - b }
    public func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64 { a &- b }
    public func expression(_ a: String, _ b: String, _ m: inout CMath) -> String {
        "\(a) - \(b)"
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil, nil] }
        let (a, b) = (p.operands[0], p.operands[1])
        let db = p.needed[1] ? try g.sum(g.append(Negate(), dy), toShapeOf: b) : nil
        return [p.needed[0] ? try g.sum(dy, toShapeOf: a) : nil, db]
    }
    public static var kernelCode: Int? { MARTLET_SUBTRACT }
    public static var onnxName: (opType: String, since: Int) { ("Sub", 14) }

    public static var specimens: [Specimen] {
        [
            Specimen(Subtract(), on: .f32(2, 3, 4), .f32(2, 3, 4)),
            Specimen(Subtract(), on: .f32(2, 3, 4, 5), .f32(3, 1, 1)),
            Specimen(Subtract(), on: .f32(2, 3, 4, 5), .f32(2, 3, 1, 1)), Specimen(Subtract(), on: .f32(), .f32(2, 1)),
        ]
    }
}
