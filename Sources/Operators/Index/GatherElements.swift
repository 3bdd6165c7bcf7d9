import IR

/// `y[i…] = x[…, indices[i…], …]`: elements picked along an axis, one index for each.
///
/// Indices count as in ``Gather``.
///
/// - Shapes: `x: [X…], indices: [I…] (of equal rank) → y: [I…]`.
public struct GatherElements: Operator {
    public static let mnemonic = "gather_elements"
    public var axis = 0

    public init() {}
    public init(axis: Int) { self.axis = axis }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self)
        try checkElementIndices(x[0], x[1], axis, for: self)
        return [x[0].with(shape: x[1].shape)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        [x[0].picked(y[0], elementPositions(x[0].shape, x[1].shape, axis, x[1].integers))]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        elementLoops(x[0].shape, x[1].shape, axis, indices: "x1") { at, position in "y0[\(at)] = x0[\(position)];" }
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm("GatherElements", since: 13, attributes: [("axis", .int(axis))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("GatherElements", versions: 11...21, elements: ElementType.allCases) {
                node, g throws(ONNXImportError) in
                let x = try node.required(0)
                let op = GatherElements(axis: try node.axis(default: 0, rank: g.type(of: x).rank))
                return [try g.apply(op, x, node.required(1), name: node.name)]
            }
        ]
    }

    public static let specimens = [
        Specimen(
            GatherElements(axis: 1), operands: [.uniform(.f32(2, 4, 3), -2...2), .integers(.i64(2, 2, 3), -4...3)],
            differentiable: false),
        Specimen(
            GatherElements(), operands: [.integers(.i64(3, 2), -9...9), .integers(.i32(2, 2), 0...2)],
            differentiable: false),
    ]
}

/// Checks operands that go together element by element, but along `axis`.
func checkElementIndices(_ x: TensorType, _ indices: TensorType, _ axis: Int, for op: some Operator) throws(ShapeError)
{
    try indices.requireIndices(for: op)
    let axis = try TensorType.axis(axis, rank: x.rank, for: op)
    guard x.rank == indices.rank, x.rank > 0, x.count > 0 || indices.count == 0,
        x.shape.indices.allSatisfy({ $0 == axis || indices.shape[$0] <= x.shape[$0] })
    else {
        throw ShapeError("\(op.mnemonic): indices \(indices) do not fit \(x) along axis \(axis)")
    }
}

/// The position in a tensor of `shape` that each index of a tensor of shape `indexed` means.
func elementPositions(_ shape: [Int], _ indexed: [Int], _ axis: Int, _ indices: [Int64]) -> [Int] {
    let axis = axis < 0 ? axis + shape.count : axis
    var strides = TensorType.strides(shape)
    let step = strides[axis]
    strides[axis] = 0
    var positions: [Int] = []
    positions.reserveCapacity(indices.count)
    forEachIndex(indexed, [strides]) { positions.append($1[0] + nearest(indices[$0], shape[axis]) * step) }
    return positions
}

/// Loops over `indexed`; the statement gets the linear index and the position in a tensor of `shape`.
func elementLoops(
    _ shape: [Int], _ indexed: [Int], _ axis: Int, indices: String, _ statement: (String, String) -> String
) -> CBody {
    let axis = axis < 0 ? axis + shape.count : axis
    var strides = TensorType.strides(shape)
    let step = strides[axis]
    strides[axis] = 0
    return .loops(indexed, [strides]) { at, offset in
        "{ \(nearestText("k", "\(indices)[\(at)]", shape[axis])) \(statement(at, "\(offset[0]) + k * \(step)")) }"
    }
}
