import IR

/// A convolution and what follows it element by element: `y = f(conv2d(x, w) + bias + residual)`.
///
/// Made by the pass that fuses epilogues; the meaning is the decomposition.
///
/// - Shapes: `x: [N, C, H, W], w: [K, C/g, R, S], bias: [K], residual: [N, K, H', W'] → y: [N, K, H', W']`.
public struct FusedConv2D: EpilogueOperator {
    public static let mnemonic = "fused_conv2d"
    public var stride = [1, 1]
    public var dilation = [1, 1]
    public var padding = [0, 0, 0, 0]
    public var groups = 1
    public var addsBias = false
    public var addsResidual = false
    public var activation = ""
    public var parameters: [Double] = []

    public init() {}
    public init(_ convolution: Conv2D, addsBias: Bool) {
        stride = convolution.stride
        dilation = convolution.dilation
        padding = convolution.padding
        groups = convolution.groups
        self.addsBias = addsBias
    }

    public var convolution: Conv2D { Conv2D(stride: stride, dilation: dilation, padding: padding, groups: groups) }
    public func biasAxis(_ y: TensorType) -> Int { 1 }
    public var layoutRule: LayoutRule { .image }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let parts = try parts(x), y = try convolution.infer(parts.product)
        try checkEpilogue(parts.bias, parts.residual, y[0])
        return y
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let parts = try parts(x)
        let y = try g.appendAll(convolution, parts.product + (parts.bias.map { [$0] } ?? []))[0]
        return [try appendEpilogue(y, nil, parts.residual, in: &g)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { convolution.macs(x, y) }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        guard let product = convolution.c(Array(x.prefix(addsBias ? 3 : 2)), y) else { return nil }
        if !addsResidual && activation.isEmpty { return product }
        var rest = self
        rest.addsBias = false
        return rest.epilogueC(product, x, y[0])
    }

    public static let specimens = [
        Specimen(
            with(Conv2D(kernel: 3), bias: true, "relu"), on: .f32(2, 3, 5, 6), .f32(4, 3, 3, 3), .f32(4),
            differentiable: false),
        Specimen(
            with(Conv2D(kernel: 1), bias: true, residual: true, ""), on: .f32(1, 5, 3, 3), .f32(7, 5, 1, 1), .f32(7),
            .f32(1, 7, 3, 3)),
        Specimen(
            with(Conv2D(kernel: 3, stride: 2, groups: 4), bias: false, residual: true, "silu"), on: .f32(1, 4, 6, 7),
            .f32(4, 1, 3, 3),
            .f32(1, 4, 3, 4)),
        Specimen(
            with(Conv2D(kernel: 3), bias: true, "clip", [-0.5, 0.5]), on: .f32(1, 2, 4, 4), .f32(3, 2, 3, 3), .f32(3),
            differentiable: false),
    ]

    private static func with(
        _ convolution: Conv2D, bias: Bool, residual: Bool = false, _ activation: String, _ parameters: [Double] = []
    ) -> FusedConv2D {
        var op = FusedConv2D(convolution, addsBias: bias)
        op.addsResidual = residual
        op.activation = activation
        op.parameters = parameters
        return op
    }
}
