import CONNX

extension ONNXReader {
    /// A few bytes of a file can stand for any number of zeros; no more of them than this are written out.
    private static let denseLimit = 1 << 28

    /// Writes out the zeros of a sparse tensor, whose indices are positions or one coordinate a dimension.
    func dense(_ message: Onnx__SparseTensorProto) throws(ONNXError) -> ONNXTensorValue {
        guard let valueMessage = message.values else { throw ONNXError(.malformed, "it holds no values") }
        let values = try tensor(valueMessage.pointee)
        let dimensions = Protobuf.list(message.dims, message.n_dims).map { Int($0) }
        let size = try ONNXTensorValue.byteCount(values.elementType, dimensions)
        guard size <= Self.denseLimit else {
            throw ONNXError(
                .unsupported, "it takes \(size) bytes without its zeros left out; \(Self.denseLimit) are allowed")
        }
        guard values.dimensions.count == 1 else {
            throw ONNXError(.malformed, "its values have \(values.dimensions.count) dimensions, expected 1")
        }
        let indices = try message.indices.map { (indices) throws(ONNXError) in try tensor(indices.pointee) }
        let positions = try positions(indices, count: values.count, dimensions)
        let width = values.count == 0 ? 0 : values.bytes.count / values.count
        var bytes = [UInt8](repeating: 0, count: size)
        for (index, position) in positions.enumerated() {
            bytes.replaceSubrange(
                position * width..<(position + 1) * width, with: values.bytes[index * width..<(index + 1) * width])
        }
        return try ONNXTensorValue(values.elementType, dimensions, bytes: bytes)
    }

    /// Where the values lie in memory order, which is also the order they must be stored in.
    private func positions(
        _ indices: ONNXTensorValue?, count: Int, _ dimensions: [Int]
    ) throws(ONNXError) -> [Int] {
        guard let indices else {
            guard count == 0 else { throw ONNXError(.malformed, "it holds \(count) values without indices") }
            return []
        }
        guard indices.elementType == .int64, let numbers = indices.integers else {
            throw ONNXError(.malformed, "its indices are of type \(indices.elementType), expected int64")
        }
        let linear = indices.dimensions == [count]
        guard linear || indices.dimensions == [count, dimensions.count] else {
            throw ONNXError(
                .malformed,
                "its indices have the shape \(indices.dimensions), expected [\(count)] or [\(count), \(dimensions.count)]"
            )
        }
        let bounds = linear ? [dimensions.reduce(1, *)] : dimensions
        var positions: [Int] = []
        for entry in 0..<count {
            var position = 0
            for (axis, bound) in bounds.enumerated() {
                let number = numbers[entry * bounds.count + axis]
                guard number >= 0, number < bound else {
                    throw ONNXError(.malformed, "the index \(number) is outside a dimension of \(bound)")
                }
                position = position * bound + number
            }
            guard position > positions.last ?? -1 else {
                throw ONNXError(.malformed, "its indices are not in ascending order")
            }
            positions.append(position)
        }
        return positions
    }
}
