import IR

/// `y = condition ? a : b`, broadcasting.
///
/// - Shapes: `condition: bool [C], a: [A], b: [B] → y: [broadcast of all]`.
public struct Where: Operator {
    public static let mnemonic = "where"

    public init() {}

    public var layoutRule: LayoutRule { .elementwise }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(3, for: self)
        guard x[0].element == .bool, x[1].element == x[2].element else {
            throw ShapeError("where expects a boolean condition and two operands of one type, found \(x)")
        }
        let shape = try TensorType.broadcast(x[1].shape, x[2].shape, for: self)
        return [TensorType(x[1].element, try TensorType.broadcast(x[0].shape, shape, for: self))]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let condition = x[0].integers
        if y[0].element.isFloatingPoint {
            let a = x[1].reals, b = x[2].reals
            var result: [R] = []
            forEachBroadcast(y[0].shape, x.map(\.shape)) { result.append(condition[$1[0]] != 0 ? a[$1[1]] : b[$1[2]]) }
            return [ReferenceTensor(y[0], result)]
        }
        let a = x[1].integers, b = x[2].integers
        var result: [Int64] = []
        forEachBroadcast(y[0].shape, x.map(\.shape)) { result.append(condition[$1[0]] != 0 ? a[$1[1]] : b[$1[2]]) }
        return [ReferenceTensor(y[0], integers: result)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil, nil, nil] }
        let zero = g.constant(0, like: dy)
        let da = try g.append(Where(), p.operands[0], dy, zero), db = try g.append(Where(), p.operands[0], zero, dy)
        return [nil, try g.sum(da, toShapeOf: p.operands[1]), try g.sum(db, toShapeOf: p.operands[2])]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        .elementwise(x, y[0]) { "\($0[0]) ? \($0[1]) : \($0[2])" }
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? { ONNXForm("Where", since: 16) }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Where", versions: 9...21, elements: ElementType.numbers + [.bool]) {
                node, g throws(ONNXImportError) in
                let operands = [try node.required(0), try node.required(1), try node.required(2)]
                return try importing { () throws(ShapeError) in try g.appendAll(Where(), operands, name: node.name) }
            }
        ]
    }

    public static let specimens = [
        Specimen(Where(), on: .bool(2, 3), .f32(2, 3), .f32(2, 3)), Specimen(Where(), on: .bool(3), .f32(2, 1), .f32()),
        Specimen(Where(), on: .bool(3), .i64(2, 1), .i64(3), differentiable: false),
    ]
}
