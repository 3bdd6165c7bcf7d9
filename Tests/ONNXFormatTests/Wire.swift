/// Protobuf wire bytes written by hand, for files that no sound writer would make.
struct Wire {
    var bytes: [UInt8] = []

    static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        repeat {
            bytes.append(UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return bytes
    }

    func integer(_ field: UInt64, _ value: Int64) -> Wire {
        Wire(bytes: bytes + Self.varint(field << 3) + Self.varint(UInt64(bitPattern: value)))
    }

    func block(_ field: UInt64, _ content: [UInt8]) -> Wire {
        Wire(bytes: bytes + Self.varint(field << 3 | 2) + Self.varint(UInt64(content.count)) + content)
    }

    func block(_ field: UInt64, _ content: Wire) -> Wire { block(field, content.bytes) }

    func text(_ field: UInt64, _ content: String) -> Wire { block(field, Array(content.utf8)) }

    func packed<Value: BitwiseCopyable>(_ field: UInt64, _ values: [Value]) -> Wire {
        block(field, values.withUnsafeBytes { Array($0) })
    }

    func varints(_ field: UInt64, _ values: [Int64]) -> Wire {
        block(field, values.flatMap { Self.varint(UInt64(bitPattern: $0)) })
    }

    /// A TensorProto with a type and dimensions but no values yet.
    static func tensor(_ type: Int64, _ dimensions: [Int64]) -> Wire {
        dimensions.reduce(Wire()) { $0.integer(1, $1) }.integer(2, type)
    }

    static func node(_ operation: String, _ inputs: [String], _ outputs: [String]) -> Wire {
        var node = Wire()
        for input in inputs { node = node.text(1, input) }
        for output in outputs { node = node.text(2, output) }
        return node.text(4, operation)
    }

    static func value(_ name: String) -> Wire { Wire().text(1, name) }

    /// A ModelProto of opset 17 around a GraphProto.
    static func model(_ graph: Wire) -> Wire {
        Wire().integer(1, 8).block(8, Wire().text(1, "").integer(2, 17)).block(7, graph)
    }
}
