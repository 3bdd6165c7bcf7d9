import CKernels
import IR

/// `y = clamp(slope · x + offset, 0, 1)`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
/// - Source: Courbariaux et al., *BinaryConnect*, NeurIPS 2015.
public struct HardSigmoid: ParametricActivation {
    public static let mnemonic = "hard_sigmoid"
    public var slope = 0.2
    public var offset = 0.5

    public init() {}
    public init(slope: Double, offset: Double) {
        self.slope = slope
        self.offset = offset
    }
    public init(parameters: [Double]) { self.init(slope: parameters[0], offset: parameters[1]) }
    public var parameters: [Double] { [slope, offset] }

    public func apply<R: Scalar>(_ x: R) -> R { min(max(R(slope) * x + R(offset), 0), 1) }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        let t = "\(m.literal(slope)) * \(x) + \(m.literal(offset))"
        return "(\(t) < 0 ? \(m.literal(0)) : \(t) > 1 ? \(m.literal(1)) : \(t))"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        let inside = try g.append(Indicator(low: -offset / slope, high: (1 - offset) / slope), x)
        return try g.append(Multiply(), inside, g.constant(slope, like: x))
    }
    public static var kernelCode: Int? { MARTLET_HARD_SIGMOID }
    public static var onnxName: (opType: String, since: Int) { ("HardSigmoid", 6) }
    public var onnxAttributes: [(name: String, value: ONNXAttribute)] {
        [("alpha", .float(Float(slope))), ("beta", .float(Float(offset)))]
    }
    public init(onnx node: ONNXNode) throws(ONNXImportError) {
        self.init(slope: try node.float("alpha", default: 0.2), offset: try node.float("beta", default: 0.5))
    }

    public static var specimens: [Specimen] {
        [Specimen(HardSigmoid(slope: 0.2, offset: 0.5), on: .f32(2, 3, 4), range: -4...4, kinks: [-2.5, 2.5])]
    }
}
