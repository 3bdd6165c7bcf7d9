import IR

/// Strides by which an operand is read while walking the result's shape; 0 along broadcast dimensions.
func broadcastStrides(_ shape: [Int], to result: [Int]) -> [Int] {
    let strides = TensorType.strides(shape)
    let missing = result.count - shape.count
    return result.indices.map { $0 < missing || shape[$0 - missing] == 1 ? 0 : strides[$0 - missing] }
}

/// Calls `body` with the linear index of the result and the linear index of each operand, in row-major order.
func forEachBroadcast(_ result: [Int], _ operands: [[Int]], _ body: (Int, [Int]) -> Void) {
    let strides = operands.map { broadcastStrides($0, to: result) }
    forEachIndex(result, strides) { body($0, $1) }
}

/// Walks `shape` in row-major order; offsets follow the given strides.
func forEachIndex(_ shape: [Int], _ strides: [[Int]], start: [Int]? = nil, _ body: (Int, [Int]) -> Void) {
    let count = shape.reduce(1, *)
    var index = [Int](repeating: 0, count: shape.count)
    var offsets = start ?? [Int](repeating: 0, count: strides.count)
    for linear in 0..<count {
        body(linear, offsets)
        var axis = shape.count - 1
        while axis >= 0 {
            index[axis] += 1
            for k in strides.indices { offsets[k] += strides[k][axis] }
            if index[axis] < shape[axis] { break }
            for k in strides.indices { offsets[k] -= strides[k][axis] * shape[axis] }
            index[axis] = 0
            axis -= 1
        }
    }
}

extension GraphBuilder {
    /// The sum of `value` over the dimensions in which `shape` was broadcast to it.
    public mutating func sum(_ value: Value, toShapeOf target: Value) throws(ShapeError) -> Value {
        let from = type(of: value).shape, to = type(of: target).shape
        if from == to { return value }
        let missing = from.count - to.count
        let axes = from.indices.filter { $0 < missing || (to[$0 - missing] == 1 && from[$0] != 1) }
        let sum = axes.isEmpty ? value : try append(ReduceSum(axes: axes, keepsDimensions: true), value)
        return type(of: sum).shape == to ? sum : try append(Reshape(to), sum)
    }

    /// A scalar constant of the element type of `value`.
    public mutating func constant(_ scalar: Double, like value: Value) -> Value {
        constant(Literal(scalar: scalar, type(of: value).element))
    }
}
