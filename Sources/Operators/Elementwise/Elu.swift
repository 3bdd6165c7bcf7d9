import CKernels
import IR
import RealModule

/// `y = x` for positive x, `alpha · (exp(x) - 1)` otherwise, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
/// - Source: Clevert et al., *ELU*, ICLR 2016.
public struct Elu: ParametricActivation {
    public static let mnemonic = "elu"
    public var alpha = 1.0

    public init() {}
    public init(alpha: Double) {
        self.alpha = alpha
    }
    public init(parameters: [Double]) { self.init(alpha: parameters[0]) }
    public var parameters: [Double] { [alpha] }

    public func apply<R: Scalar>(_ x: R) -> R { x > 0 ? x : R(alpha) * R.expMinusOne(x) }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        "(\(x) > 0 ? \(x) : \(m.literal(alpha)) * \(m.call("expm1", x)))"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        // 1 above zero, y + alpha below.
        let above = try g.append(Indicator(low: 0, high: .infinity), x),
            below = try g.append(Indicator(low: -.infinity, high: 0), x)
        let slope = try g.append(Add(), y, g.constant(alpha, like: y))
        return try g.append(Add(), above, g.append(Multiply(), below, slope))
    }
    public static var kernelCode: Int? { MARTLET_ELU }
    public static var onnxName: (opType: String, since: Int) { ("Elu", 6) }
    public var onnxAttributes: [(name: String, value: ONNXAttribute)] {
        [("alpha", .float(Float(alpha)))]
    }
    public init(onnx node: ONNXNode) throws(ONNXImportError) {
        self.init(alpha: try node.float("alpha", default: 1))
    }

    public static var specimens: [Specimen] { [Specimen(Elu(), on: .f32(2, 3, 4), kinks: [0])] }
}
