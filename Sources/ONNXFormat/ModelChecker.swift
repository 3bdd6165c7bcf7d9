import CONNXChecker

/// libonnx's checker, which every written file must pass.
public enum ModelChecker {
    /// Checks serialised model bytes in strict mode, inferring shapes.
    ///
    /// The checker knows the opsets up to 17; it judges what this package writes, never what it reads.
    ///
    /// - Throws: ``ONNXError`` (`invalidExport`) with the checker's reason.
    public static func check(_ bytes: [UInt8], name: String = "model") throws(ONNXError) {
        var message = [CChar](repeating: 0, count: 2048)
        let status = connx_check(bytes, bytes.count, 1, &message, message.count)
        guard status == Int32(CONNX_VALID) else {
            let reason = String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw ONNXError(.invalidExport, file: name, "libonnx refuses the model: \(reason)")
        }
    }
}
