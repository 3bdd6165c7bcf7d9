import IR

/// `y = a & b` of integers, bit by bit, broadcasting.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`.
public struct BitwiseAnd: BinaryElementwise {
    public static let mnemonic = "bitwise_and"

    public init() {}
    public static var elements: [ElementType] { ElementType.integers }

    // Only integers are taken.
    public func apply<R: Scalar>(_ a: R, _ b: R) -> R { a }
    public func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64 { a & b }
    public func expression(_ a: String, _ b: String, _ m: inout CMath) -> String { "\(a) & \(b)" }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? { [nil, nil] }
    public static var onnxName: (opType: String, since: Int) { ("BitwiseAnd", 18) }

    public static var specimens: [Specimen] {
        [
            Specimen(BitwiseAnd(), on: .i32(2, 3), .i32(3), differentiable: false),
            Specimen(BitwiseAnd(), on: .u8(4), .u8(4), differentiable: false),
        ]
    }
}
