import IR
import RealModule

/// The functions that ONNX's recurrent layers may use, by ONNX's names.
enum RecurrentFunction: String {
    case sigmoid = "Sigmoid"
    case tanh = "Tanh"
    case relu = "Relu"
    case affine = "Affine"
    case leakyRelu = "LeakyRelu"
    case thresholdedRelu = "ThresholdedRelu"
    case scaledTanh = "ScaledTanh"
    case hardSigmoid = "HardSigmoid"
    case elu = "Elu"
    case softsign = "Softsign"
    case softplus = "Softplus"

    /// The parameters that ONNX gives a function when a node does not.
    var defaults: (alpha: Double, beta: Double) {
        switch self {
        case .affine, .scaledTanh: (1, self == .affine ? 0 : 1)
        case .leakyRelu: (0.01, 0)
        case .thresholdedRelu, .elu: (1, 0)
        case .hardSigmoid: (0.2, 0.5)
        default: (0, 0)
        }
    }

    func apply<R: Scalar>(_ x: R, _ alpha: R, _ beta: R) -> R {
        switch self {
        case .sigmoid: 1 / (1 + R.exp(-x))
        case .tanh: R.tanh(x)
        case .relu: max(x, 0)
        case .affine: alpha * x + beta
        case .leakyRelu: x < 0 ? alpha * x : x
        case .thresholdedRelu: x > alpha ? x : 0
        case .scaledTanh: alpha * R.tanh(beta * x)
        case .hardSigmoid: min(max(alpha * x + beta, 0), 1)
        case .elu: x < 0 ? alpha * R.expMinusOne(x) : x
        case .softsign: x / (1 + abs(x))
        case .softplus: R.log(onePlus: R.exp(x))
        }
    }

    /// The same in C, of an expression without side effects.
    func expression(_ x: String, _ alpha: Double, _ beta: Double, _ m: inout CMath) -> String {
        let (a, b, zero, one) = (m.literal(alpha), m.literal(beta), m.literal(0), m.literal(1))
        switch self {
        case .sigmoid: return "\(one) / (\(one) + \(m.call("exp", "-\(x)")))"
        case .tanh: return m.call("tanh", x)
        case .relu: return "\(x) > \(zero) ? \(x) : \(zero)"
        case .affine: return "\(a) * \(x) + \(b)"
        case .leakyRelu: return "\(x) < \(zero) ? \(a) * \(x) : \(x)"
        case .thresholdedRelu: return "\(x) > \(a) ? \(x) : \(zero)"
        case .scaledTanh: return "\(a) * \(m.call("tanh", "\(b) * \(x)"))"
        case .hardSigmoid:
            let line = "\(a) * \(x) + \(b)"
            return "\(line) < \(zero) ? \(zero) : \(line) > \(one) ? \(one) : \(line)"
        case .elu: return "\(x) < \(zero) ? \(a) * \(m.call("expm1", x)) : \(x)"
        case .softsign: return "\(x) / (\(one) + (\(x) < \(zero) ? -\(x) : \(x)))"
        case .softplus: return m.call("log1p", m.call("exp", x))
        }
    }
}
