import IR
import RealModule

/// The remainder of `a / b`, broadcasting; with the sign of `b`, or with that of `a` when it `truncates`. The remainder
/// of an integer by zero is zero.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`.
public struct Modulo: BinaryElementwise {
    public static let mnemonic = "modulo"
    public var truncates = false

    public init() {}
    public init(truncates: Bool) { self.truncates = truncates }

    public func apply<R: Scalar>(_ a: R, _ b: R) -> R {
        let remainder = a.truncatingRemainder(dividingBy: b)
        return truncates || remainder == 0 || (remainder < 0) == (b < 0) ? remainder : remainder + b
    }
    public func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64 {
        if b == 0 { return 0 }
        if element == .u64 { return Int64(bitPattern: UInt64(bitPattern: a) % UInt64(bitPattern: b)) }
        let remainder = b == -1 ? 0 : a % b
        return truncates || remainder == 0 || (remainder < 0) == (b < 0) ? remainder : remainder + b
    }
    public func expression(_ a: String, _ b: String, _ m: inout CMath) -> String {
        if m.element.isFloatingPoint {
            let remainder = m.call("fmod", a, b)
            return truncates ? remainder : "\(m.call("fmod", "\(remainder) + \(b)", b))"
        }
        guard m.element.isSigned else { return "(\(b) == 0 ? 0 : \(a) % \(b))" }
        let remainder = "(\(b) == 0 || \(b) == -1 ? 0 : \(a) % \(b))"
        return truncates ? remainder : "(\(b) == 0 || \(b) == -1 ? 0 : (\(a) % \(b) + \(b)) % \(b))"
    }
    public static var onnxName: (opType: String, since: Int) { ("Mod", 13) }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        guard truncates || !x[0].element.isFloatingPoint else { return nil }
        return ONNXForm("Mod", since: 13, attributes: [("fmod", .int(truncates ? 1 : 0))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Mod", versions: 10...21, elements: elements) { node, g throws(ONNXImportError) in
                let op = Modulo(truncates: try node.int("fmod", default: 0) != 0)
                return [try g.apply(op, node.required(0), node.required(1), name: node.name)]
            }
        ]
    }

    public static var specimens: [Specimen] {
        [
            Specimen(
                Modulo(),
                operands: [.integers(.i32(2, 6), -9...9), .literal(Literal([-4, 3, -1, 2, 1, -3], element: .i32))],
                differentiable: false),
            Specimen(
                Modulo(truncates: true), operands: [.integers(.i64(2, 4), -9...9), .literal(Literal([-4, 3, -1, 2]))],
                differentiable: false),
            Specimen(
                Modulo(), operands: [.integers(.u8(5), 0...200), .integers(.u8(5), 1...7)], differentiable: false),
            Specimen(
                Modulo(truncates: true), operands: [.uniform(.f32(9), -9...9), .uniform(.f32(9), 1...2)],
                differentiable: false),
            Specimen(Modulo(), operands: [.uniform(.f32(9), -9...9), .uniform(.f32(9), 1...2)], differentiable: false),
        ]
    }
}
