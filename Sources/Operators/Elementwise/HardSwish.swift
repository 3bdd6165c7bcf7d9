import CKernels
import IR

/// `y = x · clamp(x/6 + 1/2, 0, 1)`, elementwise.
///
/// - Shapes: `x: [any] → y: [same]`.
/// - Source: Howard et al., *Searching for MobileNetV3*, ICCV 2019, section 5.2.
public struct HardSwish: ParametricActivation {
    public static let mnemonic = "hard_swish"

    public init() {}

    public func apply<R: Scalar>(_ x: R) -> R { x * min(max(x / 6 + 1 / 2, 0), 1) }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        let t = "(\(x) + \(m.literal(3)))"
        return "\(x) * (\(t) < 0 ? \(m.literal(0)) : \(t) > 6 ? \(m.literal(1)) : \(t) * \(m.literal(1.0 / 6)))"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        // y' = 0 below -3, 1 above 3, x/3 + 1/2 between.
        let inside = try g.append(Indicator(low: -3, high: 3), x),
            above = try g.append(Indicator(low: 3, high: .infinity), x)
        let third = try g.append(Multiply(), x, g.constant(1.0 / 3, like: x))
        let slope = try g.append(Add(), third, g.constant(0.5, like: x))
        return try g.append(Add(), above, g.append(Multiply(), inside, slope))
    }
    public static var kernelCode: Int? { MARTLET_HARD_SWISH }
    public static var onnxName: (opType: String, since: Int) { ("HardSwish", 14) }

    public static var specimens: [Specimen] {
        [Specimen(HardSwish(), on: .f32(2, 3, 4), range: -5...5, kinks: [-3, 3])]
    }
}
