import IR

/// `y = a · 2ᵇ` of integers, broadcasting.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`.
public struct ShiftLeft: BinaryElementwise {
    public static let mnemonic = "shift_left"

    public init() {}
    public static var elements: [ElementType] { ElementType.integers }

    // Only integers are taken.
    public func apply<R: Scalar>(_ a: R, _ b: R) -> R { a }
    public func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64 { a << b }
    public func expression(_ a: String, _ b: String, _ m: inout CMath) -> String {
        "(\(b) < \(m.element.size * 8) ? \(a) << \(b) : 0)"
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? { [nil, nil] }
    public static var onnxName: (opType: String, since: Int) { ("BitShift", 11) }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        guard !x[0].element.isSigned else { return nil }
        return ONNXForm("BitShift", since: 11, attributes: [("direction", .string("LEFT"))])
    }
    // Read with the direction: see ``Registry/elementwiseImports``.
    public static var onnxImports: [ONNXImport] { [] }

    public static var specimens: [Specimen] {
        [
            Specimen(ShiftLeft(), on: .i32(2, 3), .i32(3), differentiable: false),
            Specimen(ShiftLeft(), on: .u8(4), .u8(4), differentiable: false),
        ]
    }
}
