import IR

/// Slices of a tensor picked by index vectors: the last dimension of the indices addresses dimensions behind the batch.
///
/// Indices count as in ``Gather``.
///
/// - Shapes: `x: [B…, D1…Dq, S…], indices: [B…, I…, q] → y: [B…, I…, S…]`.
public struct GatherND: Operator {
    public static let mnemonic = "gather_nd"
    public var batchDimensions = 0

    public init() {}
    public init(batchDimensions: Int) { self.batchDimensions = batchDimensions }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self)
        try x[1].requireIndices(for: self)
        let b = batchDimensions
        guard b >= 0, x[1].rank > b, let depth = x[1].shape.last, b + depth <= x[0].rank,
            x[0].shape.prefix(b) == x[1].shape.prefix(b),
            x[0].count > 0 || x[1].count == 0
        else {
            throw ShapeError("gather_nd: indices \(x[1]) do not fit \(x[0]) with \(b) batch dimensions")
        }
        return [x[0].with(shape: x[1].shape.dropLast() + x[0].shape[(b + depth)...])]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let n = IndexVectors(x[0].shape, x[1].shape, batchDimensions)
        return [x[0].picked(y[0], n.starts(x[1].integers).flatMap { start in (0..<n.slice).map { start + $0 } })]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let n = IndexVectors(x[0].shape, x[1].shape, batchDimensions)
        return n.c { k, at in "for (size_t b = 0; b < \(n.slice); ++b) y0[\(k) * \(n.slice) + b] = x0[\(at) + b];" }
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        guard x[1].element == .i64 else { return nil }
        return ONNXForm("GatherND", since: 13, attributes: [("batch_dims", .int(batchDimensions))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("GatherND", versions: 11...21, elements: ElementType.allCases) {
                node, g throws(ONNXImportError) in
                let op = GatherND(batchDimensions: try node.int("batch_dims", default: 0))
                return [try g.apply(op, node.required(0), node.required(1), name: node.name)]
            }
        ]
    }

    public static let specimens = [
        Specimen(
            GatherND(), operands: [.uniform(.f32(3, 4, 2), -2...2), .integers(.i64(5, 2), -3...2)],
            differentiable: false),
        Specimen(
            GatherND(batchDimensions: 1), operands: [.uniform(.f32(2, 3, 2), -2...2), .integers(.i32(2, 4, 1), 0...2)],
            differentiable: false),
    ]
}

/// The loops over index vectors into a tensor.
struct IndexVectors {
    /// Vectors, entries of each, and elements of the slice that one addresses.
    let count, depth, slice: Int
    private let sizes, strides: [Int]
    /// Vectors that share a batch, and the elements of the tensor in one.
    private let perBatch, batchStride: Int

    init(_ shape: [Int], _ indices: [Int], _ batchDimensions: Int) {
        depth = indices.last ?? 0
        count = indices.dropLast().reduce(1, *)
        sizes = Array(shape[batchDimensions..<(batchDimensions + depth)])
        strides = Array(TensorType.strides(shape)[batchDimensions..<(batchDimensions + depth)])
        slice = shape[(batchDimensions + depth)...].reduce(1, *)
        perBatch = max(1, indices.dropLast().dropFirst(batchDimensions).reduce(1, *))
        batchStride = shape[batchDimensions...].reduce(1, *)
    }

    /// Where each slice starts.
    func starts(_ indices: [Int64]) -> [Int] {
        (0..<count).map { k in
            (0..<depth).reduce(k / perBatch * batchStride) {
                $0 + nearest(indices[k * depth + $1], sizes[$1]) * strides[$1]
            }
        }
    }

    /// Loops over the vectors (operand 1); the statement gets the number of one and the start of its slice.
    func c(_ statement: (String, String) -> String) -> CBody {
        var code = "for (size_t k = 0; k < \(count); ++k) {\n    size_t at = k / \(perBatch) * \(batchStride);\n"
        for d in 0..<depth {
            code += "    { \(nearestText("i", "x1[k * \(depth) + \(d)]", sizes[d])) at += i * \(strides[d]); }\n"
        }
        return CBody(code + "    \(statement("k", "at"))\n}\n")
    }
}
