import CKernels
import IR

/// `y = x` for positive x, `slope · x` otherwise, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct LeakyRelu: ParametricActivation {
    public static let mnemonic = "leaky_relu"
    public var slope = 0.01

    public init() {}
    public init(slope: Double) {
        self.slope = slope
    }
    public init(parameters: [Double]) { self.init(slope: parameters[0]) }
    public var parameters: [Double] { [slope] }

    public func apply<R: Scalar>(_ x: R) -> R { x < 0 ? R(slope) * x : x }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        "(\(x) < 0 ? \(m.literal(slope)) * \(x) : \(x))"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        let above = try g.append(Indicator(low: 0, high: .infinity), x)
        let scaled = try g.append(Multiply(), above, g.constant(1 - slope, like: x))
        return try g.append(Add(), scaled, g.constant(slope, like: x))
    }
    public static var kernelCode: Int? { MARTLET_LEAKY_RELU }
    public static var onnxName: (opType: String, since: Int) { ("LeakyRelu", 16) }
    public var onnxAttributes: [(name: String, value: ONNXAttribute)] {
        [("alpha", .float(Float(slope)))]
    }
    public init(onnx node: ONNXNode) throws(ONNXImportError) {
        self.init(slope: try node.float("alpha", default: 0.01))
    }

    public static var specimens: [Specimen] { [Specimen(LeakyRelu(slope: 0.1), on: .f32(2, 3, 4), kinks: [0])] }
}
