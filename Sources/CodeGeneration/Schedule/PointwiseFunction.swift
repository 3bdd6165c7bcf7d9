/// A function applied to each element in a kernel's epilogue.
enum PointwiseFunction: Hashable, Sendable {
    case identity
    case relu
    case clip(low: Float, high: Float)
    case hardSigmoid(slope: Float, offset: Float)
    case hardSwish
    case sigmoid
    case silu
    case gelu
    case tanh

    /// The C expression for a vector `x`.
    func callAsFunction(_ x: String) -> String {
        switch self {
        case .identity: x
        case .relu: "v_relu(\(x))"
        case .clip(let low, let high): "v_clip(\(x), \(low.cLiteral), \(high.cLiteral))"
        case .hardSigmoid(let slope, let offset): "v_hard_sigmoid(\(x), \(slope.cLiteral), \(offset.cLiteral))"
        case .hardSwish: "v_hard_swish(\(x))"
        case .sigmoid: "v_sigmoid(\(x))"
        case .silu: "v_silu(\(x))"
        case .gelu: "v_gelu(\(x))"
        case .tanh: "v_tanh(\(x))"
        }
    }

    /// A C identifier's part.
    var tag: String {
        switch self {
        case .identity: ""
        case .relu: "_relu"
        case .clip(let low, let high): "_clip\(low.tag)_\(high.tag)"
        case .hardSigmoid(let slope, let offset): "_hsigmoid\(slope.tag)_\(offset.tag)"
        case .hardSwish: "_hswish"
        case .sigmoid: "_sigmoid"
        case .silu: "_silu"
        case .gelu: "_gelu"
        case .tanh: "_tanh"
        }
    }
}

extension Float {
    /// The shortest C literal that reads back as this float.
    var cLiteral: String {
        let text = "\(self)"
        return (text.contains(".") || text.contains("e") ? text : text + ".0") + "f"
    }

    fileprivate var tag: String {
        self == rounded() && magnitude < 1e6
            ? (self < 0 ? "m\(Int(magnitude))" : "\(Int(self))") : "x\(String(bitPattern, radix: 16))"
    }
}
