import CKernels
import IR

/// Repeats dimensions of size 1, and adds leading ones, until the shape is reached.
///
/// - Shapes: `x: [X] → y: [shape]`, X broadcasting to shape.
public struct BroadcastTo: Operator {
    public static let mnemonic = "broadcast_to"
    public var shape: [Int] = []

    public init() {}
    public init(_ shape: [Int]) { self.shape = shape }

    public var layoutRule: LayoutRule { .elementwise }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self)
        guard try TensorType.broadcast(x.shape, shape, for: self) == shape else {
            throw ShapeError("broadcast_to: \(x) does not broadcast to \(shape)")
        }
        return [x.with(shape: shape)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        switch x[0].storage {
        case .real(let values):
            var result: [R] = []
            forEachBroadcast(shape, [x[0].shape]) { result.append(values[$1[0]]) }
            return [ReferenceTensor(y[0], result)]
        case .integer(let values):
            var result: [Int64] = []
            forEachBroadcast(shape, [x[0].shape]) { result.append(values[$1[0]]) }
            return [ReferenceTensor(y[0], integers: result)]
        }
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        return [try g.sum(dy, toShapeOf: p.operands[0])]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard x[0].isDense else { return nil }
        let strides = x[0].memoryStrides, missing = y[0].rank - x[0].rank
        let walk = y[0].shape.indices.map { $0 < missing || x[0].shape[$0 - missing] == 1 ? 0 : strides[$0 - missing] }
        return .copy(x[0], y[0], strides: walk)
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? { .elementwise(x, y[0]) { $0[0] } }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm("Expand", since: 13, inputs: [.operand(0), .constant(Literal(shape))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport(
                "Expand", versions: 8...21, elements: ElementType.allCases, refuses: "a shape that is not constant"
            ) {
                node, g throws(ONNXImportError) in
                let x = try node.required(0), shape = g.type(of: x).shape
                let given = try node.integers(1, in: g, called: "shape")
                return try importing { () throws(ShapeError) in
                    // ONNX lets either side broadcast to the other.
                    let target = try TensorType.broadcast(shape, given, for: BroadcastTo())
                    return [try g.append(BroadcastTo(target), x, name: node.name)]
                }
            }
        ]
    }

    public static let specimens = [
        Specimen(BroadcastTo([2, 3, 4]), on: .f32(3, 1)), Specimen(BroadcastTo([2, 3, 4, 5]), on: .f32(2, 3, 1, 1)),
        Specimen(BroadcastTo([2, 2]), on: .i64(2)), Specimen(BroadcastTo([3, 2]), on: .f32()),
    ]
}
