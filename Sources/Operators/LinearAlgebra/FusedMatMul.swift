import IR

/// A matrix product and what follows it element by element: `y = f(a · b + bias + residual)`.
///
/// Made by the pass that fuses epilogues; the meaning is the decomposition.
///
/// - Shapes: `a: [..., M, K], b: [..., K, N], bias: [N], residual: [..., M, N] → y: [..., M, N]`; transposed as in `matmul`.
public struct FusedMatMul: EpilogueOperator {
    public static let mnemonic = "fused_matmul"
    public var transposesA = false
    public var transposesB = false
    public var addsBias = false
    public var addsResidual = false
    public var activation = ""
    public var parameters: [Double] = []

    public init() {}
    public init(_ product: MatMul, addsBias: Bool) {
        transposesA = product.transposesA
        transposesB = product.transposesB
        self.addsBias = addsBias
    }

    public var product: MatMul { MatMul(transposesA: transposesA, transposesB: transposesB) }
    public func biasAxis(_ y: TensorType) -> Int { y.rank - 1 }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let parts = try parts(x), y = try product.infer(parts.product)
        _ = try y[0].requireFloat(for: self)
        try checkEpilogue(parts.bias, parts.residual, y[0])
        return y
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let parts = try parts(x)
        return [try appendEpilogue(g.appendAll(product, parts.product)[0], parts.bias, parts.residual, in: &g)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { product.macs(Array(x.prefix(2)), y) }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        product.c(Array(x.prefix(2)), y).flatMap { epilogueC($0, x, y[0]) }
    }

    public static let specimens = [
        Specimen(with(MatMul(), bias: true, "gelu"), on: .f32(3, 4), .f32(4, 5), .f32(5)),
        Specimen(
            with(MatMul(transposesB: true), bias: false, residual: true, "tanh"), on: .f32(3, 4), .f32(5, 4), .f32(3, 5)
        ),
        Specimen(
            with(MatMul(), bias: true, residual: true, "relu"), on: .f32(2, 3, 4), .f32(4, 2), .f32(2), .f32(2, 3, 2),
            differentiable: false),
    ]

    private static func with(
        _ product: MatMul, bias: Bool, residual: Bool = false, _ activation: String, _ parameters: [Double] = []
    ) -> FusedMatMul {
        var op = FusedMatMul(product, addsBias: bias)
        op.addsResidual = residual
        op.activation = activation
        op.parameters = parameters
        return op
    }
}
