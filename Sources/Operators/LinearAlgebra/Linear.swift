import CKernels
import IR

/// A fully connected layer: `y = x · wᵀ + b`.
///
/// - Shapes: `x: [M, K], w: [N, K], b: [N] (optional) → y: [M, N]`.
public struct Linear: Operator {
    public static let mnemonic = "linear"

    public init() {}

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        guard x.count == 2 || x.count == 3 else { throw ShapeError("linear expects 2 or 3 operands, found \(x.count)") }
        let y = try MatMul(transposesB: true).infer(Array(x.prefix(2)))
        guard x[0].rank == 2, x[1].rank == 2 else {
            throw ShapeError("linear expects matrices, found \(x[0]) and \(x[1])")
        }
        guard x.count == 2 || x[2].shape == [x[1].shape[0]] else {
            throw ShapeError("linear: the bias should be [\(x[1].shape[0])], found \(x[2])")
        }
        return y
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let product = try g.append(MatMul(transposesB: true), x[0], x[1])
        return [x.count == 2 ? product : try g.append(Add(), product, x[2])]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { y[0].count * x[0].shape[1] }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard (x + y).allSatisfy(\.isKernelArray), y[0].count > 0 else { return nil }
        return KernelCall(
            martlet_matmul,
            integers: [1, x[0].shape[0], x[1].shape[0], x[0].shape[1], 0, 1, 0, 0, x.count == 3 ? 1 : 0], phases: 2,
            scratch: { martlet_matmul_scratch($0, Int32($1)) })
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let (m, k, n) = (x[0].shape[0], x[0].shape[1], x[1].shape[0])
        let (type, math) = (x[0].element.cType, CMath(x[0].element))
        return CBody(
            """
            for (size_t i = 0; i < \(m); ++i)
                for (size_t j = 0; j < \(n); ++j) {
                    \(type) sum = \(math.literal(0));
                    for (size_t k = 0; k < \(k); ++k) sum += x0[i * \(k) + k] * x1[j * \(k) + k];
                    y0[i * \(n) + j] = sum\(x.count == 3 ? " + x2[j]" : "");
                }

            """)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm("Gemm", since: 13, attributes: [("transB", .int(1))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Gemm", elements: ElementType.numbers) { node, g throws(ONNXImportError) in
                let a = try node.required(0), b = try node.required(1), c = node.input(2)
                let alpha = try node.float("alpha", default: 1), beta = try node.float("beta", default: 1)
                let (ta, tb) = (try node.int("transA", default: 0) != 0, try node.int("transB", default: 0) != 0)
                return try importing { () throws(ShapeError) in
                    if !ta, tb, alpha == 1, beta == 1, g.type(of: a).rank == 2, g.type(of: a).element.isFloatingPoint,
                        c.map({ g.type(of: $0).shape == [g.type(of: b).shape[0]] }) ?? true
                    {
                        return try g.appendAll(Linear(), [a, b] + (c.map { [$0] } ?? []), name: node.name)
                    }
                    var y = try g.append(MatMul(transposesA: ta, transposesB: tb), a, b, name: node.name)
                    if alpha != 1 { y = try g.append(Multiply(), y, g.constant(alpha, like: y)) }
                    guard let c, beta != 0 else { return [y] }
                    let scaled = beta == 1 ? c : try g.append(Multiply(), c, g.constant(beta, like: c))
                    return [try g.append(Add(), y, scaled)]
                }
            }
        ]
    }

    public static let specimens = [
        Specimen(Linear(), on: .f32(3, 4), .f32(5, 4), .f32(5)), Specimen(Linear(), on: .f32(2, 4), .f32(3, 4)),
    ]
}
