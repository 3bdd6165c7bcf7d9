import IR

/// The same elements in row-major order under another shape.
///
/// - Shapes: `x: [any] → y: [shape]`, equal counts.
/// - Throws: ``ShapeError`` when the counts differ.
public struct Reshape: Operator {
    public static let mnemonic = "reshape"
    public var shape: [Int] = []

    public init() {}
    public init(_ shape: [Int]) { self.shape = shape }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self)
        guard shape.allSatisfy({ $0 >= 0 }), x.count == shape.elementCount else {
            throw ShapeError("reshape: \(x) has \(x.count) elements, but shape \(shape) needs \(shape.elementCount)")
        }
        return [x.with(shape: shape)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        var result = x[0]
        result.shape = shape
        return [result]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        return [try g.append(Reshape(g.type(of: p.operands[0]).shape), dy)]
    }
    public var isView: Bool { true }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        .copy(x[0], y[0])
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        .elementwise([x[0].with(shape: [x[0].count])], y[0].with(shape: [y[0].count])) { $0[0] }
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm("Reshape", since: 13, inputs: [.operand(0), .constant(Literal(shape))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport(
                "Reshape", versions: 1...21, elements: ElementType.allCases, refuses: "a shape that is not constant"
            ) {
                node, g throws(ONNXImportError) in
                let x = try node.required(0), from = g.type(of: x).shape
                var shape = try node.ints("shape") ?? []
                if node.input(1) != nil { shape = try node.integers(1, in: g, called: "shape") }
                let zeroIsZero = try node.int("allowzero", default: 0) != 0
                for (i, size) in shape.enumerated() where size == 0 && !zeroIsZero {
                    guard i < from.count else {
                        throw .malformed("dimension \(i) of the shape copies one that x does not have")
                    }
                    shape[i] = from[i]
                }
                if let open = shape.firstIndex(of: -1) {
                    let known = Array(shape[..<open] + shape[(open + 1)...]).elementCount
                    shape[open] = known == 0 ? 0 : from.elementCount / known
                }
                let op = Reshape(shape)
                return try importing { () throws(ShapeError) in [try g.append(op, x, name: node.name)] }
            },
            ONNXImport("Flatten", versions: 1...21, elements: ElementType.allCases) { node, g throws(ONNXImportError) in
                let x = try node.required(0), shape = g.type(of: x).shape
                let axis = try node.int("axis", default: 1), at = axis < 0 ? axis + shape.count : axis
                guard (0...shape.count).contains(at) else {
                    throw .malformed("axis \(axis) is outside a tensor of rank \(shape.count)")
                }
                let op = Reshape([shape[..<at].reduce(1, *), shape[at...].reduce(1, *)])
                return try importing { () throws(ShapeError) in [try g.append(op, x, name: node.name)] }
            },
        ]
    }

    public static let specimens = [
        Specimen(Reshape([4, 6]), on: .f32(2, 3, 4)), Specimen(Reshape([6]), on: .i64(2, 3)),
    ]
}
