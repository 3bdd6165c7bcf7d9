import IR

/// `y = ⌊a / 2ᵇ⌋` of integers, broadcasting.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`.
public struct ShiftRight: BinaryElementwise {
    public static let mnemonic = "shift_right"

    public init() {}
    public static var elements: [ElementType] { ElementType.integers }

    // Only integers are taken.
    public func apply<R: Scalar>(_ a: R, _ b: R) -> R { a }
    public func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64 {
        element == .u64 ? Int64(bitPattern: UInt64(bitPattern: a) >> UInt64(bitPattern: b)) : a >> b
    }
    public func expression(_ a: String, _ b: String, _ m: inout CMath) -> String {
        "(\(b) < \(m.element.size * 8) ? \(a) >> \(b) : 0)"
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? { [nil, nil] }
    public static var onnxName: (opType: String, since: Int) { ("BitShift", 11) }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        guard !x[0].element.isSigned else { return nil }
        return ONNXForm("BitShift", since: 11, attributes: [("direction", .string("RIGHT"))])
    }
    // Read with the direction: see ``Registry/elementwiseImports``.
    public static var onnxImports: [ONNXImport] { [] }

    public static var specimens: [Specimen] {
        [
            Specimen(ShiftRight(), on: .i32(2, 3), .i32(3), differentiable: false),
            Specimen(ShiftRight(), on: .u8(4), .u8(4), differentiable: false),
        ]
    }
}
