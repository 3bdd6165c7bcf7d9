import IR

/// Writes expressions of a C body: literals and calls in the precision of an element type, and the calls made.
public struct CMath {
    public let element: ElementType
    public private(set) var functions: [String] = []

    public init(_ element: ElementType) { self.element = element }

    /// A call such as `MARTLET_EXPF(x)`; the generator defines the macro as `expf` unless the user has.
    public mutating func call(_ function: String, _ arguments: String...) -> String {
        let name = element == .f64 ? function : function + "f"
        if !functions.contains(name) { functions.append(name) }
        return "MARTLET_\(name.uppercased())(\(arguments.joined(separator: ", ")))"
    }

    /// A literal of the element type.
    public func literal(_ value: Double) -> String {
        guard element.isFloatingPoint else { return "\(Int64(saturating: value))" }
        if value.isNaN { return element == .f64 ? "(double)NAN" : "NAN" }
        if value.isInfinite { return value < 0 ? "-INFINITY" : "INFINITY" }
        let text = element == .f64 ? "\(value)" : "\(Float(value))f"
        return value < 0 ? "(\(text))" : text
    }
}

extension CBody {
    /// `y0[i] = expression` over the broadcast of all operands, which the expression names `x0[…]` through `arguments`.
    static func elementwise(
        _ x: [TensorType], _ y: TensorType, math: [String] = [], _ expression: ([String]) -> String
    ) -> CBody {
        if x.allSatisfy({ $0.shape == y.shape || $0.count == 1 }) {
            let arguments = x.enumerated().map { $1.count == 1 && y.count != 1 ? "x\($0)[0]" : "x\($0)[i]" }
            return CBody(
                "for (size_t i = 0; i < \(y.count); ++i) y0[i] = \(expression(arguments));\n", mathFunctions: math)
        }
        // Neighbouring dimensions in which every operand moves alike become one loop.
        let (shape, strides) = collapsed(y.shape, x.map { broadcastStrides($0.shape, to: y.shape) })
        return loops(shape, strides, math: math) { out, offsets in
            "y0[\(out)] = \(expression(offsets.enumerated().map { "x\($0)[\($1)]" }));"
        }
    }

    /// Nested loops over `shape`; the statement gets the linear index and the offset of every operand as C text.
    static func loops(
        _ shape: [Int], _ strides: [[Int]], math: [String] = [], _ statement: (String, [String]) -> String
    ) -> CBody {
        var code = ""
        let own = TensorType.strides(shape)
        func offset(_ strides: [Int]) -> String {
            let terms = strides.indices.compactMap { d in
                strides[d] == 0 || shape[d] == 1 ? nil : strides[d] == 1 ? "i\(d)" : "i\(d) * \(strides[d])"
            }
            return terms.isEmpty ? "0" : terms.joined(separator: " + ")
        }
        for (d, size) in shape.enumerated() where size != 1 {
            code += String(repeating: "    ", count: d) + "for (size_t i\(d) = 0; i\(d) < \(size); ++i\(d))\n"
        }
        code += String(repeating: "    ", count: shape.count) + statement(offset(own), strides.map(offset)) + "\n"
        return CBody(code, mathFunctions: math)
    }

    static func collapsed(_ shape: [Int], _ strides: [[Int]]) -> ([Int], [[Int]]) {
        var newShape: [Int] = [], newStrides = strides.map { _ in [Int]() }
        for d in shape.indices where shape[d] != 1 {
            let merges =
                !newShape.isEmpty && strides.indices.allSatisfy { newStrides[$0].last! == strides[$0][d] * shape[d] }
            if merges {
                newShape[newShape.count - 1] *= shape[d]
                for k in strides.indices { newStrides[k][newStrides[k].count - 1] = strides[k][d] }
            } else {
                newShape.append(shape[d])
                for k in strides.indices { newStrides[k].append(strides[k][d]) }
            }
        }
        return (newShape, newStrides)
    }
}

extension ElementType {
    /// The smallest value of an integer type as a C literal.
    var smallestLiteral: String {
        switch self {
        case .i64: "INT64_MIN"
        case .i32: "INT32_MIN"
        case .i16: "INT16_MIN"
        case .i8: "INT8_MIN"
        default: "0"
        }
    }

    /// The largest value of an integer type as a C literal.
    var largestLiteral: String { self == .bool ? "1" : (isSigned ? "INT" : "UINT") + "\(size * 8)_MAX" }
}
