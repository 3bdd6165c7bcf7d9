import CKernels
import IR

/// `y = a + b`, broadcasting.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`.
public struct Add: BinaryElementwise {
    public static let mnemonic = "add"

    public init() {}

    public func apply<R: Scalar>(_ a: R, _ b: R) -> R { a + b }
    public func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64 { a &+ b }
    public func expression(_ a: String, _ b: String, _ m: inout CMath) -> String {
        "\(a) + \(b)"
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil, nil] }
        let (a, b) = (p.operands[0], p.operands[1])
        return [
            p.needed[0] ? try g.sum(dy, toShapeOf: a) : nil, p.needed[1] ? try g.sum(dy, toShapeOf: b) : nil,
        ]
    }
    public static var kernelCode: Int? { MARTLET_ADD }
    public static var onnxName: (opType: String, since: Int) { ("Add", 14) }

    public static var specimens: [Specimen] {
        [
            Specimen(Add(), on: .f32(2, 3, 4), .f32(2, 3, 4)), Specimen(Add(), on: .f32(2, 3, 4, 5), .f32(3, 1, 1)),
            Specimen(Add(), on: .f32(2, 3, 4, 5), .f32(2, 3, 1, 1)), Specimen(Add(), on: .f32(), .f32(2, 1)),
            Specimen(Add(), on: .i64(3), .i64(3)),
        ]
    }
}
