import IR

/// Slices of a tensor picked by index along an axis.
///
/// A negative index counts from the back; one that is outside is taken as the nearest inside, so that no data can make
/// a program read foreign memory.
///
/// - Shapes: `x: [A…, D, B…], indices: [I…] → y: [A…, I…, B…]`, the indices `i32` or `i64`.
public struct Gather: Operator {
    public static let mnemonic = "gather"
    public var axis = 0

    public init() {}
    public init(axis: Int) { self.axis = axis }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self)
        try x[1].requireIndices(for: self)
        let axis = try TensorType.axis(axis, rank: x[0].rank, for: self)
        guard x[0].rank > 0, x[0].shape[axis] > 0 || x[1].count == 0 else {
            throw ShapeError("gather: \(x[0]) has nothing to pick along axis \(axis)")
        }
        return [x[0].with(shape: Array(x[0].shape[..<axis]) + x[1].shape + Array(x[0].shape[(axis + 1)...]))]
    }
    /// Sizes before, along and behind the axis.
    private func parts(_ shape: [Int]) -> (outer: Int, size: Int, inner: Int) {
        let axis = axis < 0 ? axis + shape.count : axis
        return (shape[..<axis].reduce(1, *), shape[axis], shape[(axis + 1)...].reduce(1, *))
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let (outer, size, inner) = parts(x[0].shape)
        let indices = x[1].integers.map { nearest($0, size) }
        var positions: [Int] = []
        positions.reserveCapacity(y[0].count)
        for a in 0..<outer {
            for index in indices { for b in 0..<inner { positions.append((a * size + index) * inner + b) } }
        }
        return [x[0].picked(y[0], positions)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let (outer, size, inner) = parts(x[0].shape)
        return CBody(
            """
            for (size_t a = 0; a < \(outer); ++a)
                for (size_t k = 0; k < \(x[1].count); ++k) {
                    \(nearestText("i", "x1[k]", size))
                    for (size_t b = 0; b < \(inner); ++b) y0[(a * \(x[1].count) + k) * \(inner) + b] = x0[(a * \(size) + i) * \(inner) + b];
                }

            """)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm("Gather", since: 13, attributes: [("axis", .int(axis))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Gather", elements: ElementType.allCases) { node, g throws(ONNXImportError) in
                let x = try node.required(0), indices = try node.required(1)
                let type = g.type(of: x), op = Gather(axis: try node.axis(default: 0, rank: type.rank))
                if type.rank > 0, let literal = g.constant(of: indices) {
                    let size = Int64(type.shape[op.axis])
                    if let index = literal.integers.first(where: { !(-size..<size).contains($0) }) {
                        throw .malformed("index \(index) is outside axis \(op.axis) of \(type)")
                    }
                }
                return try importing { () throws(ShapeError) in [try g.append(op, x, indices, name: node.name)] }
            }
        ]
    }

    public static let specimens = [
        Specimen(
            Gather(), operands: [.uniform(.f32(4, 3), -2...2), .integers(.i64(2, 2), -4...3)], differentiable: false),
        Specimen(
            Gather(axis: 1), operands: [.uniform(.f32(2, 4, 3), -2...2), .integers(.i32(5), 0...3)],
            differentiable: false),
        Specimen(
            Gather(axis: -1), operands: [.integers(.i64(2, 4), -9...9), .literal(Literal([2], shape: []))],
            differentiable: false),
    ]
}
