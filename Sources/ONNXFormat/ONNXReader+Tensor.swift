import CONNX

// Values are copied byte by byte into little-endian storage.
#if _endian(big)
    #error("reading ONNX tensors needs a little-endian host")
#endif

extension ONNXReader {
    /// Decodes a dense tensor from whichever field its values are stored in.
    func tensor(_ message: Onnx__TensorProto) throws(ONNXError) -> ONNXTensorValue {
        let type = ONNXElementType(rawValue: message.has_data_type != 0 ? message.data_type : 0)
        let dimensions = Protobuf.list(message.dims, message.n_dims).map { Int($0) }
        guard type != .undefined else { throw ONNXError(.malformed, "the tensor states no element type") }
        guard message.segment == nil else { throw ONNXError(.unsupported, "tensors in segments are not supported") }
        let expected = try ONNXTensorValue.byteCount(type, dimensions)
        let bytes: [UInt8]
        if message.has_data_location != 0 && message.data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL {
            bytes = try external(message, expected)
        } else {
            bytes = try stored(message, type, dimensions, expected)
        }
        return try ONNXTensorValue(type, dimensions, bytes: bytes)
    }

    private func stored(
        _ message: Onnx__TensorProto, _ type: ONNXElementType, _ dimensions: [Int], _ expected: Int
    ) throws(ONNXError) -> [UInt8] {
        let fields: [(name: String, count: Int)] = [
            ("raw_data", message.has_raw_data != 0 ? message.raw_data.len : 0), ("float_data", message.n_float_data),
            ("int32_data", message.n_int32_data), ("int64_data", message.n_int64_data),
            ("double_data", message.n_double_data), ("uint64_data", message.n_uint64_data),
            ("string_data", message.n_string_data),
        ].filter { $0.count > 0 }
        guard let field = fields.first else {
            guard expected == 0 else {
                throw ONNXError(.malformed, "\(type) \(dimensions) needs \(expected) bytes, but no values are stored")
            }
            return []
        }
        guard fields.count == 1 else {
            throw ONNXError(.malformed, "values are stored in \(fields.map(\.name).joined(separator: " and "))")
        }
        if field.name == "raw_data" { return Protobuf.list(message.raw_data.data, message.raw_data.len) }
        let count = expected / (type.byteCount ?? 1)
        guard field.count == count else {
            throw ONNXError(
                .malformed, "\(type) \(dimensions) has \(count) elements, but \(field.name) holds \(field.count)")
        }
        switch (field.name, type) {
        case ("float_data", .float): return raw(message.float_data, count)
        case ("double_data", .double): return raw(message.double_data, count)
        case ("int64_data", .int64): return raw(message.int64_data, count)
        case ("uint64_data", .uint64): return raw(message.uint64_data, count)
        case ("int32_data", .int32): return raw(message.int32_data, count)
        case ("uint64_data", .uint32):
            return raw(Protobuf.list(message.uint64_data, count).map { UInt32(truncatingIfNeeded: $0) })
        case ("int32_data", .int8), ("int32_data", .uint8), ("int32_data", .bool):
            return Protobuf.list(message.int32_data, count).map { UInt8(truncatingIfNeeded: $0) }
        case ("int32_data", .int16), ("int32_data", .uint16), ("int32_data", .float16), ("int32_data", .bfloat16):
            return raw(Protobuf.list(message.int32_data, count).map { UInt16(truncatingIfNeeded: $0) })
        default: throw ONNXError(.malformed, "values of type \(type) cannot be stored in \(field.name)")
        }
    }

    private func raw<Element: BitwiseCopyable>(_ start: UnsafeMutablePointer<Element>, _ count: Int) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: start, count: count * MemoryLayout<Element>.stride))
    }

    private func raw<Element: BitwiseCopyable>(_ values: [Element]) -> [UInt8] {
        values.withUnsafeBytes { Array($0) }
    }

    /// Reads a tensor's bytes from a file beside the model.
    private func external(_ message: Onnx__TensorProto, _ expected: Int) throws(ONNXError) -> [UInt8] {
        var location = ""
        var offset = 0
        for entry in Protobuf.list(message.external_data, message.n_external_data) {
            let value = Protobuf.text(entry.pointee.value)
            switch Protobuf.text(entry.pointee.key) {
            case "location": location = value
            case "offset":
                guard let number = Int(value), number >= 0 else {
                    throw ONNXError(.malformed, "the external data's offset '\(value)' is no position")
                }
                offset = number
            case "length":
                guard Int(value) == expected else {
                    throw ONNXError(
                        .malformed, "the external data's length is '\(value)', but the tensor takes \(expected) bytes")
                }
            default: break
            }
        }
        guard let folder else {
            throw ONNXError(
                .missingData,
                "its values are in the external file '\(location)', but the model was not read from a folder")
        }
        let parts = location.split(separator: "/", omittingEmptySubsequences: false)
        guard !location.isEmpty, !location.hasPrefix("/"), !parts.contains("..") else {
            throw ONNXError(
                .missingData, "the external file '\(location)' is not inside the model's folder; it is not read")
        }
        guard let root = FileBytes.resolve(folder), let path = FileBytes.resolve(folder + "/" + location) else {
            throw ONNXError(.missingData, "the external file '\(location)' does not exist in the model's folder")
        }
        guard path.hasPrefix(root == "/" ? root : root + "/") else {
            throw ONNXError(
                .missingData,
                "the external file '\(location)' is a link that leads out of the model's folder; it is not read")
        }
        do throws(ONNXError) {
            return try FileBytes.read(path, offset: offset, count: expected)
        } catch {
            throw ONNXError(.missingData, "the external file '\(location)': \(error.cause)")
        }
    }
}
