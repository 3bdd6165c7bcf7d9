import IR

/// `y = a < b` as a boolean, broadcasting.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`.
public struct Less: BinaryElementwise {
    public static let mnemonic = "less"

    public init() {}
    public static var elements: [ElementType] { ElementType.numbers }
    public func resultElement(_ operand: ElementType) -> ElementType { .bool }

    public func apply<R: Scalar>(_ a: R, _ b: R) -> R { a < b ? 1 : 0 }
    public func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64 {
        element == .u64 ? (UInt64(bitPattern: a) < UInt64(bitPattern: b) ? 1 : 0) : a < b ? 1 : 0
    }
    public func expression(_ a: String, _ b: String, _ m: inout CMath) -> String {
        "\(a) < \(b)"
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? { [nil, nil] }
    public static var onnxName: (opType: String, since: Int) { ("Less", 13) }

    public static var specimens: [Specimen] {
        [
            Specimen(Less(), on: .f32(2, 3), .f32(3), differentiable: false),
            Specimen(Less(), on: .i64(4, 2), .i64(4, 1), differentiable: false),
        ]
    }
}
