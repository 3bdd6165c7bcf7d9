import IR

/// `y = a && b` of booleans, broadcasting.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`.
public struct And: BinaryElementwise {
    public static let mnemonic = "and"

    public init() {}
    public static var elements: [ElementType] { [.bool] }

    public func apply<R: Scalar>(_ a: R, _ b: R) -> R { (Int64(a) & Int64(b)) != 0 ? 1 : 0 }
    public func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64 { a & b }
    public func expression(_ a: String, _ b: String, _ m: inout CMath) -> String {
        "\(a) && \(b)"
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? { [nil, nil] }
    public static var onnxName: (opType: String, since: Int) { ("And", 7) }

    public static var specimens: [Specimen] { [Specimen(And(), on: .bool(2, 3), .bool(3), differentiable: false)] }
}
