/// The element type of an ONNX tensor, as numbered by `TensorProto.DataType`; numbers unknown here are kept.
public struct ONNXElementType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public var rawValue: Int32

    public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let undefined = ONNXElementType(rawValue: 0)
    public static let float = ONNXElementType(rawValue: 1)
    public static let uint8 = ONNXElementType(rawValue: 2)
    public static let int8 = ONNXElementType(rawValue: 3)
    public static let uint16 = ONNXElementType(rawValue: 4)
    public static let int16 = ONNXElementType(rawValue: 5)
    public static let int32 = ONNXElementType(rawValue: 6)
    public static let int64 = ONNXElementType(rawValue: 7)
    public static let string = ONNXElementType(rawValue: 8)
    public static let bool = ONNXElementType(rawValue: 9)
    public static let float16 = ONNXElementType(rawValue: 10)
    public static let double = ONNXElementType(rawValue: 11)
    public static let uint32 = ONNXElementType(rawValue: 12)
    public static let uint64 = ONNXElementType(rawValue: 13)
    public static let complex64 = ONNXElementType(rawValue: 14)
    public static let complex128 = ONNXElementType(rawValue: 15)
    public static let bfloat16 = ONNXElementType(rawValue: 16)

    private static let names = [
        "undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16",
        "double",
        "uint32", "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2",
        "float8e5m2fnuz", "uint4", "int4", "float4e2m1",
    ]

    public var description: String {
        Self.names.indices.contains(Int(rawValue)) ? Self.names[Int(rawValue)] : "element type \(rawValue)"
    }

    /// Bytes of one element, or nil for a type whose tensors are not read (strings, complex, 8-bit and 4-bit floats).
    public var byteCount: Int? {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16, .float16, .bfloat16: 2
        case .float, .int32, .uint32: 4
        case .double, .int64, .uint64: 8
        default: nil
        }
    }
}
