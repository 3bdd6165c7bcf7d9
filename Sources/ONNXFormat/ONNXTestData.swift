import CONNX

/// The tensor files of ONNX's backend test cases: `input_0.pb`, `output_0.pb` and so on.
public enum ONNXTestData {
    /// Reads one serialised tensor.
    ///
    /// - Throws: ``ONNXError`` naming the file; a sequence or an optional is `unsupported`.
    public static func tensor(path: String) throws(ONNXError) -> ONNXTensorValue {
        do throws(ONNXError) {
            return try tensor(bytes: FileBytes.read(path))
        } catch {
            throw error.naming(file: path)
        }
    }

    /// Reads one serialised tensor from bytes.
    public static func tensor(bytes: [UInt8]) throws(ONNXError) -> ONNXTensorValue {
        try Protobuf.withMessage(
            bytes, connx_tensor_descriptor(), as: Onnx__TensorProto.self, called: "TensorProto"
        ) { (message) throws(ONNXError) in try ONNXReader(folder: nil).tensor(message) }
    }

    /// Reads `PREFIX_0.pb`, `PREFIX_1.pb` … of a folder, matched with the declared values in order.
    ///
    /// - Throws: ``ONNXError`` (`unsupported`) when a value is declared as anything but a tensor, (`missingData`) when
    ///   the folder holds more files than values.
    public static func tensors(
        folder: String, prefix: String, declared: [ONNXModel.ValueInfo]
    ) throws(ONNXError) -> [ONNXTensorValue] {
        let names = Set(FileBytes.names(in: folder))
        var tensors: [ONNXTensorValue] = []
        while names.contains("\(prefix)_\(tensors.count).pb") {
            let path = "\(folder)/\(prefix)_\(tensors.count).pb"
            guard tensors.count < declared.count else {
                throw ONNXError(.mismatch, file: path, "the model has only \(declared.count) \(prefix)s")
            }
            let info = declared[tensors.count]
            if case .other(let kind) = info.type {
                throw ONNXError(
                    .unsupported, file: path, subject: "\(prefix) '\(info.name)'",
                    "it is of type \(kind); only tensors are read")
            }
            let value = try tensor(path: path)
            if case .tensor(.bfloat16, _) = info.type, value.elementType == .uint16 {
                // The cases were made with a library that has no bfloat16 and stored the bits.
                tensors.append(ONNXTensorValue(matching: .bfloat16, value.dimensions, value.bytes))
            } else {
                tensors.append(value)
            }
        }
        return tensors
    }
}
