import CKernels
import IR

/// Reorders dimensions: dimension `i` of the result is dimension `permutation[i]` of the operand.
///
/// - Shapes: `x: [D0, D1, …] → y: [Dp0, Dp1, …]`.
public struct Transpose: Operator {
    public static let mnemonic = "transpose"
    public var permutation: [Int] = []

    public init() {}
    public init(_ permutation: [Int]) { self.permutation = permutation }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self)
        guard permutation.sorted() == Array(0..<x.rank) else {
            throw ShapeError("transpose: \(permutation) is not a permutation of the dimensions of \(x)")
        }
        return [x.with(shape: permutation.map { x.shape[$0] })]
    }
    private func strides(_ shape: [Int]) -> [Int] { permutation.map { TensorType.strides(shape)[$0] } }

    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        [x[0].gathered(y[0], strides: strides(x[0].shape))]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        var inverse = permutation
        for (i, axis) in permutation.enumerated() { inverse[axis] = i }
        return [try g.append(Transpose(inverse), dy)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        .copy(x[0], y[0], strides: permutation.map { x[0].memoryStrides[$0] })
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        .loops(y[0].shape, [strides(x[0].shape)]) { "y0[\($0)] = x0[\($1[0])];" }
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm("Transpose", since: 13, attributes: [("perm", .ints(permutation))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Transpose", elements: ElementType.allCases) { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                let op = Transpose(try node.ints("perm") ?? (0..<g.type(of: x).rank).reversed())
                return try importing { () throws(ShapeError) in [try g.append(op, x, name: node.name)] }
            }
        ]
    }

    public static let specimens = [
        Specimen(Transpose([0, 2, 3, 1]), on: .f32(2, 3, 4, 5)), Specimen(Transpose([1, 0]), on: .i64(2, 3)),
        Specimen(Transpose([2, 0, 1]), on: .f32(2, 3, 4)),
    ]
}

extension ReferenceTensor {
    /// A tensor of the given type whose element at each index is read by `strides` from `start`.
    func gathered(_ type: TensorType, strides: [Int], start: Int = 0) -> ReferenceTensor {
        switch storage {
        case .real(let values):
            var result: [R] = []
            result.reserveCapacity(type.count)
            forEachIndex(type.shape, [strides], start: [start]) { result.append(values[$1[0]]) }
            return ReferenceTensor(type, result)
        case .integer(let values):
            var result: [Int64] = []
            result.reserveCapacity(type.count)
            forEachIndex(type.shape, [strides], start: [start]) { result.append(values[$1[0]]) }
            return ReferenceTensor(type, integers: result)
        }
    }
}
