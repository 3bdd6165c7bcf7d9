import IR

/// Normalisation of each sample over the dimensions from `axis` on: `y = (x - μ) / √(σ² + epsilon) · scale + bias`.
///
/// - Shapes: `x: [A…, B…], scale, bias: [B…] (the bias optional) → y: [same as x]`, with `B…` from `axis` on.
/// - Source: Ba et al., *Layer Normalization*, 2016.
public struct LayerNorm: Operator {
    public static let mnemonic = "layer_norm"
    public var axis = -1
    public var epsilon = 1e-5

    public init() {}
    public init(axis: Int, epsilon: Double = 1e-5) {
        self.axis = axis
        self.epsilon = epsilon
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        guard x.count == 2 || x.count == 3 else {
            throw ShapeError("layer_norm expects 2 or 3 operands, found \(x.count)")
        }
        let image = try x[0].requireFloat(for: self)
        let axis = try TensorType.axis(axis, rank: image.rank, for: self)
        let inner = image.with(shape: Array(image.shape[axis...]))
        if let odd = x.dropFirst().first(where: { $0 != inner }) {
            throw ShapeError("layer_norm: scale and bias of \(image) should be \(inner), found \(odd)")
        }
        return [image]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let type = g.type(of: x[0]), axis = try TensorType.axis(axis, rank: type.rank, for: self)
        let mean = ReduceMean(axes: Array(axis..<type.rank), keepsDimensions: true)
        let centred = try g.append(Subtract(), x[0], g.append(mean, x[0]))
        let variance = try g.append(mean, g.append(Multiply(), centred, centred))
        let deviation = try g.append(Sqrt(), g.append(Add(), variance, g.constant(epsilon, like: variance)))
        let y = try g.append(Multiply(), g.append(Divide(), centred, deviation), x[1])
        return [x.count == 3 ? try g.append(Add(), y, x[2]) : y]
    }
    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [] }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        var m = CMath(x[0].element)
        let axis = axis < 0 ? axis + x[0].rank : axis
        let (outer, inner) = (x[0].shape[..<axis].reduce(1, *), x[0].shape[axis...].reduce(1, *))
        let type = x[0].element.cType, share = m.literal(1 / Double(max(inner, 1)))
        let deviation = m.call("sqrt", "sum * \(share) + \(m.literal(epsilon))")
        return CBody(
            """
            for (size_t a = 0; a < \(outer); ++a) {
                const \(type) *x = x0 + a * \(inner);
                \(type) *y = y0 + a * \(inner);
                \(type) sum = \(m.literal(0));
                for (size_t b = 0; b < \(inner); ++b) sum += x[b];
                const \(type) mean = sum * \(share);
                sum = \(m.literal(0));
                for (size_t b = 0; b < \(inner); ++b) sum += (x[b] - mean) * (x[b] - mean);
                const \(type) factor = \(m.literal(1)) / \(deviation);
                for (size_t b = 0; b < \(inner); ++b) y[b] = (x[b] - mean) * factor * x1[b]\(x.count == 3 ? " + x2[b]" : "");
            }

            """, mathFunctions: m.functions)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm(
            "LayerNormalization", since: 17, attributes: [("axis", .int(axis)), ("epsilon", .float(Float(epsilon)))])
    }
    // Read by ``Registry/normalisationImports``, with the statistics that ONNX can also ask for.

    public static let specimens = [
        Specimen(LayerNorm(), on: .f32(2, 3, 5), .f32(5), .f32(5)),
        Specimen(LayerNorm(axis: 1, epsilon: 1e-3), on: .f32(2, 3, 4), .f32(3, 4)),
    ]
}
