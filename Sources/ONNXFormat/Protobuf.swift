import CONNX

/// Unpacks serialised protobuf bytes after bounding what that may cost.
enum Protobuf {
    /// Calls `body` with the unpacked message; it is freed afterwards, so nothing may keep a pointer into it.
    static func withMessage<Message, Result>(
        _ bytes: [UInt8], _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, as type: Message.Type,
        called kind: String,
        _ body: (Message) throws(ONNXError) -> Result
    ) throws(ONNXError) -> Result {
        // Ordinary files need far less than 16 bytes a byte; the constant lets small ones be dense.
        let limit = UInt64(bytes.count) * 16 + 1 << 20
        switch connx_guard(descriptor, bytes, bytes.count, 100, limit) {
        case CONNX_GUARD_SAFE: break
        case CONNX_GUARD_DEEP: throw ONNXError(.malformed, "messages are nested more than 100 deep")
        case CONNX_GUARD_LARGE: throw ONNXError(.malformed, "the bytes would expand to many times their size")
        default: throw ONNXError(.malformed, "the bytes are not a complete protobuf message (\(kind))")
        }
        guard let message = protobuf_c_message_unpack(descriptor, nil, bytes.count, bytes) else {
            throw ONNXError(.malformed, "the bytes are not a serialised \(kind)")
        }
        defer { protobuf_c_message_free_unpacked(message, nil) }
        return try body(UnsafeRawPointer(message).load(as: Message.self))
    }

    static func text(_ characters: UnsafePointer<CChar>?) -> String {
        // Bytes that are not UTF-8 become replacement characters.
        characters.map { String(cString: $0) } ?? ""
    }

    static func text(_ bytes: ProtobufCBinaryData) -> String {
        String(decoding: UnsafeBufferPointer(start: bytes.data, count: bytes.len), as: UTF8.self)
    }

    /// The elements of a repeated message field.
    static func list<Element>(
        _ elements: UnsafeMutablePointer<UnsafeMutablePointer<Element>?>?, _ count: Int
    ) -> [UnsafeMutablePointer<Element>] {
        (0..<count).compactMap { elements?[$0] }
    }

    /// The elements of a repeated number field.
    static func list<Element: BitwiseCopyable>(_ elements: UnsafeMutablePointer<Element>?, _ count: Int) -> [Element] {
        Array(UnsafeBufferPointer(start: elements, count: elements == nil ? 0 : count))
    }

    static func texts(_ elements: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ count: Int) -> [String] {
        (0..<count).map { text(elements?[$0]) }
    }

    /// The bytes of the length-delimited fields with a number that the schema does not know, in order.
    static func unknown(_ tag: UInt32, in message: ProtobufCMessage) -> [[UInt8]] {
        var found: [[UInt8]] = []
        for index in 0..<Int(message.n_unknown_fields) {
            let field = message.unknown_fields[index]
            guard field.tag == tag, field.wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED else { continue }
            let bytes = list(field.data, Int(field.len))
            // The data starts with the length as a varint, which protobuf-c has checked.
            if let end = bytes.firstIndex(where: { $0 & 0x80 == 0 }) { found.append(Array(bytes[(end + 1)...])) }
        }
        return found
    }
}
