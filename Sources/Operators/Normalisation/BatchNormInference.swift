import CKernels
import IR

/// Batch normalisation with given statistics: `y = (x - mean) / √(variance + epsilon) · scale + bias`.
///
/// - Shapes: `x: [N, C, …], mean, variance: [C], scale, bias: [C] (both or neither) → y: [same as x]`.
/// - Source: Ioffe & Szegedy, *Batch Normalization*, ICML 2015, algorithm 2.
public struct BatchNormInference: Operator {
    public static let mnemonic = "batch_norm_inference"
    public var epsilon = 1e-5

    public init() {}
    public init(epsilon: Double) { self.epsilon = epsilon }

    public var layoutRule: LayoutRule { .image }
    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [0] }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        guard x.count == 3 || x.count == 5, x[0].rank >= 2 else {
            throw ShapeError(
                "batch_norm_inference expects x, mean, variance, and a scale and bias or neither, found \(x)")
        }
        let channels = [x[0].shape[1]]
        guard x.dropFirst().allSatisfy({ $0.shape == channels }) else {
            throw ShapeError(
                "batch_norm_inference: the statistics of \(x[0]) should be \(channels), found \(x.dropFirst())")
        }
        return [x[0]]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let type = g.type(of: x[0]), channels = [1, type.shape[1]] + type.shape.dropFirst(2).map { _ in 1 }
        func channel(_ value: Value, _ g: inout GraphBuilder) throws(ShapeError) -> Value {
            try g.append(Reshape(channels), value)
        }
        let variance = try channel(x[2], &g)
        let deviation = try g.append(Sqrt(), g.append(Add(), variance, g.constant(epsilon, like: variance)))
        var y = try g.append(Divide(), g.append(Subtract(), x[0], channel(x[1], &g)), deviation)
        if x.count == 5 {
            y = try g.append(Multiply(), y, channel(x[3], &g))
            y = try g.append(Add(), y, channel(x[4], &g))
        }
        return [y]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard let rows = batchNormRows(x[0]), y[0] == x[0] else { return nil }
        return KernelCall(
            martlet_batch_norm_inference, integers: [rows, x[0].shape[1], x.count == 5 ? 1 : 0], reals: [epsilon],
            phases: 1,
            scratch: { martlet_batch_norm_scratch($0[1], Int32($1)) })
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        var m = CMath(x[0].element)
        let (outer, c) = (x[0].shape[0], x[0].shape[1]), inner = x[0].shape.dropFirst(2).reduce(1, *)
        let type = x[0].element.cType
        let deviation = m.call("sqrt", "x2[c] + \(m.literal(epsilon))")
        let (scale, bias) =
            x.count == 5 ? ("x3[c] / \(deviation)", "x4[c]") : ("\(m.literal(1)) / \(deviation)", m.literal(0))
        return CBody(
            """
            for (size_t n = 0; n < \(outer); ++n)
                for (size_t c = 0; c < \(c); ++c) {
                    const \(type) scale = \(scale), bias = \(bias) - x1[c] * scale;
                    const \(type) *x = x0 + (n * \(c) + c) * \(inner);
                    \(type) *y = y0 + (n * \(c) + c) * \(inner);
                    for (size_t i = 0; i < \(inner); ++i) y[i] = x[i] * scale + bias;
                }

            """, mathFunctions: m.functions)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        let channels = [x[0].shape[1]]
        let affine: [ONNXForm.Input] =
            x.count == 5
            ? [.operand(3), .operand(4)]
            : [1.0, 0.0].map {
                .constant(Literal(x[0].element, channels, reals: .init(repeating: $0, count: channels[0])))
            }
        return ONNXForm(
            "BatchNormalization", since: 15, inputs: [.operand(0)] + affine + [.operand(1), .operand(2)],
            attributes: [("epsilon", .float(Float(epsilon)))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("BatchNormalization", refuses: "training mode before opset 14") {
                node, g throws(ONNXImportError) in
                if try node.int("training_mode", default: 0) != 0 {
                    return try Registry.normalisedByBatch(node, &g)
                }
                guard !node.wants(1) else { throw .unsupported("BatchNormalization in training mode before opset 14") }
                let op = BatchNormInference(epsilon: try node.float("epsilon", default: 1e-5))
                var operands: [Value] = []
                for index in [0, 3, 4, 1, 2] { operands.append(try node.required(index)) }
                let element = g.type(of: operands[0]).element, all = operands
                return try importing { () throws(ShapeError) in
                    var cast = [all[0]]
                    for value in all.dropFirst() {
                        cast.append(
                            g.type(of: value).element == element ? value : try g.append(Cast(to: element), value))
                    }
                    return try g.appendAll(op, cast, name: node.name)
                }
            }
        ]
    }

    public static let specimens = [
        Specimen(
            BatchNormInference(),
            operands: [
                .uniform(.f32(2, 3, 2, 3), -2...2), .uniform(.f32(3), -1...1), .uniform(.f32(3), 0.5...2),
                .uniform(.f32(3), -2...2), .uniform(.f32(3), -1...1),
            ]),
        Specimen(
            BatchNormInference(epsilon: 1e-3),
            operands: [.uniform(.f32(2, 3, 2, 3), -2...2), .uniform(.f32(3), -1...1), .uniform(.f32(3), 0.5...2)]),
    ]
}
