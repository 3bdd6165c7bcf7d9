import CKernels
import IR
import RealModule

/// `y = a ** b`, broadcasting.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`.
public struct Power: BinaryElementwise {
    public static let mnemonic = "power"

    public init() {}

    public func apply<R: Scalar>(_ a: R, _ b: R) -> R {
        R.pow(a, b) == R.pow(a, b)
            ? R.pow(a, b) : (b == b.rounded() ? (Int64(b) % 2 == 0 ? 1 : -1) * R.pow(-a, b) : R.pow(a, b))
    }
    public func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64 {
        Int64(saturating: Double.pow(Double(a), Double(b)))
    }
    public func expression(_ a: String, _ b: String, _ m: inout CMath) -> String {
        m.element.isFloatingPoint ? m.call("pow", a, b) : m.call("pow", "(double)\(a)", "(double)\(b)")
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil, nil] }
        let (a, b) = (p.operands[0], p.operands[1])
        let lower = try g.append(Power(), a, g.append(Subtract(), b, g.constant(1, like: b)))
        let da = try g.append(Multiply(), dy, g.append(Multiply(), b, lower))
        let db =
            p.needed[1] ? try g.append(Multiply(), dy, g.append(Multiply(), p.results[0], g.append(Log(), a))) : nil
        return [try g.sum(da, toShapeOf: a), try db.map { value throws(ShapeError) in try g.sum(value, toShapeOf: b) }]
    }
    public static var kernelCode: Int? { MARTLET_POW }
    public static var onnxName: (opType: String, since: Int) { ("Pow", 15) }
    // Read by ``Registry/elementwiseImports``, with what this operator alone does not take.
    public static var onnxImports: [ONNXImport] { [] }

    public static var specimens: [Specimen] {
        [
            Specimen(Power(), on: .f32(2, 3, 4), .f32(2, 3, 4), range: 0.5...2),
            Specimen(Power(), on: .f32(2, 3, 4, 5), .f32(3, 1, 1), range: 0.5...2),
            Specimen(Power(), on: .f32(2, 3, 4, 5), .f32(2, 3, 1, 1), range: 0.5...2),
            Specimen(Power(), on: .f32(), .f32(2, 1), range: 0.5...2),
        ]
    }
}
