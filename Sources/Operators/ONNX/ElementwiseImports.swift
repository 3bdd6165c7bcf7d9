import IR

extension Registry {
    /// Elementwise operators of ONNX that are a few others.
    static let elementwiseImports: [ONNXImport] =
        [
            folding("Max", Maximum()), folding("Min", Minimum()), folding("Sum", Add()), folding("Mean", Add()),
            ONNXImport("Pow", elements: ElementType.numbers) { node, g throws(ONNXImportError) in
                let a = try node.required(0), b = try node.aligned(a, try node.required(1), in: &g)
                let (base, exponent) = (g.type(of: a).element, g.type(of: b).element)
                if base == exponent { return [try g.apply(Power(), a, b, name: node.name)] }
                if base.isFloatingPoint {
                    return [try g.apply(Power(), a, g.apply(Cast(to: base), b), name: node.name)]
                }
                let power = try g.apply(
                    Power(), g.apply(Cast(to: .f64), a), g.apply(Cast(to: .f64), b), name: node.name)
                return [try g.apply(Cast(to: base), power)]
            },
            ONNXImport("PRelu", elements: ElementType.numbers) { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                var slope = try node.required(1)
                let (rank, shape) = (g.type(of: x).rank, g.type(of: slope).shape)
                // Before opset 7 a vector was one slope a channel.
                if node.opset < 7, shape.count == 1, rank > 2 {
                    slope = try g.apply(Reshape(shape + [Int](repeating: 1, count: rank - 2)), slope)
                }
                let isNegative = try g.apply(Less(), x, g.constant(0, like: x))
                return [try g.apply(Where(), isNegative, g.apply(Multiply(), x, slope), x, name: node.name)]
            },
            ONNXImport("Selu") { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                let alpha = try node.float("alpha", default: 1.6732632423543772)
                let gamma = g.constant(try node.float("gamma", default: 1.0507009873554805), like: x)
                return [try g.apply(Multiply(), gamma, g.apply(Elu(alpha: alpha), x), name: node.name)]
            },
            ONNXImport("Celu", versions: 12...21) { node, g throws(ONNXImportError) in
                let x = try node.required(0), alpha = try node.float("alpha", default: 1)
                guard alpha != 0 else { throw .malformed("alpha should not be zero") }
                let scaled = try g.apply(Multiply(), x, g.constant(1 / alpha, like: x))
                return [try g.apply(Multiply(), g.constant(alpha, like: x), g.apply(Elu(), scaled), name: node.name)]
            },
            ONNXImport("Gelu", versions: 20...21) { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                switch try node.string("approximate", default: "none") {
                case "none": return [try g.apply(Gelu(), x, name: node.name)]
                case "tanh":
                    // x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))
                    let cube = try g.apply(Multiply(), x, g.apply(Multiply(), x, x))
                    let sum = try g.apply(Add(), x, g.apply(Multiply(), cube, g.constant(0.044715, like: x)))
                    let bent = try g.apply(
                        Tanh(), g.apply(Multiply(), sum, g.constant((2 / Double.pi).squareRoot(), like: x)))
                    let gate = try g.apply(Add(), bent, g.constant(1, like: x))
                    return [
                        try g.apply(Multiply(), g.apply(Multiply(), x, g.constant(0.5, like: x)), gate, name: node.name)
                    ]
                case let other: throw .malformed("approximate '\(other)' is neither none nor tanh")
                }
            },
            ONNXImport("Softsign") { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                let divisor = try g.apply(Add(), g.constant(1, like: x), g.apply(Absolute(), x))
                return [try g.apply(Divide(), x, divisor, name: node.name)]
            },
            ONNXImport("Mish", versions: 18...21) { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                return [try g.apply(Multiply(), x, g.apply(Tanh(), g.apply(Softplus(), x)), name: node.name)]
            },
            ONNXImport("ThresholdedRelu", versions: 10...21) { node, g throws(ONNXImportError) in
                let x = try node.required(0), alpha = g.constant(try node.float("alpha", default: 1), like: x)
                return [try g.apply(Where(), g.apply(Greater(), x, alpha), x, g.constant(0, like: x), name: node.name)]
            },
            ONNXImport("Shrink", versions: 9...21, elements: ElementType.numbers) { node, g throws(ONNXImportError) in
                let x = try node.required(0), lambda = try node.float("lambd", default: 0.5)
                let bias = g.constant(try node.float("bias", default: 0), like: x)
                let below = try g.apply(Less(), x, g.constant(-lambda, like: x))
                let above = try g.apply(Greater(), x, g.constant(lambda, like: x))
                let upper = try g.apply(Where(), above, g.apply(Subtract(), x, bias), g.constant(0, like: x))
                return [try g.apply(Where(), below, g.apply(Add(), x, bias), upper, name: node.name)]
            },
            ONNXImport("Not", elements: [.bool]) { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                return [try g.apply(Xor(), x, g.constant(1, like: x), name: node.name)]
            },
            ONNXImport("BitwiseNot", versions: 18...21, elements: ElementType.integers) {
                node, g throws(ONNXImportError) in
                let x = try node.required(0), element = g.type(of: x).element
                let ones = g.constant(Literal(element, [], integers: [-1]))
                return [try g.apply(BitwiseXor(), x, ones, name: node.name)]
            },
            ONNXImport("BitShift", versions: 11...21, elements: ElementType.integers) {
                node, g throws(ONNXImportError) in
                let a = try node.required(0), b = try node.required(1)
                switch try node.string("direction", default: "") {
                case "LEFT": return [try g.apply(ShiftLeft(), a, b, name: node.name)]
                case "RIGHT": return [try g.apply(ShiftRight(), a, b, name: node.name)]
                case let other: throw .malformed("direction '\(other)' is neither LEFT nor RIGHT")
                }
            },
            ONNXImport("IsNaN", versions: 9...21) { node, g throws(ONNXImportError) in
                let x = try node.required(0), isNumber = try g.apply(Equal(), x, x)
                return [try g.apply(Xor(), isNumber, g.constant(1, like: isNumber), name: node.name)]
            },
            ONNXImport("IsInf", versions: 10...21) { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                let above = try node.int("detect_positive", default: 1) != 0,
                    below = try node.int("detect_negative", default: 1) != 0
                guard above || below else {
                    let no = g.constant(0, .bool)
                    return [try g.broadcast(no, to: g.type(of: x).shape)]
                }
                let infinity = g.constant(below && !above ? -Double.infinity : .infinity, like: x)
                return [try g.apply(Equal(), above && below ? g.apply(Absolute(), x) : x, infinity, name: node.name)]
            },
        ]

    /// An operator that takes any number of operands; `Mean` divides the sum by it.
    private static func folding(_ opType: String, _ op: any Operator) -> ONNXImport {
        ONNXImport(opType, elements: ElementType.numbers) { node, g throws(ONNXImportError) in
            let operands = try node.all()
            guard var y = operands.first else { throw .malformed("operand 0 is missing") }
            for operand in operands.dropFirst() { y = try g.apply(op, y, operand, name: node.name) }
            guard opType == "Mean" else { return [y] }
            return [try g.apply(Divide(), y, g.constant(Double(operands.count), like: y), name: node.name)]
        }
    }
}
