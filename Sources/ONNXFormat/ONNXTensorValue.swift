/// A tensor read from ONNX: dense, row-major, every element stored in little-endian order.
public struct ONNXTensorValue: Hashable, Sendable {
    public let elementType: ONNXElementType
    public let dimensions: [Int]
    /// Exactly `count` times the element's size; a bool is the byte 0 or 1.
    public let bytes: [UInt8]

    /// Wraps bytes that are already in order.
    ///
    /// - Throws: ``ONNXError`` (`unsupported`, `malformed`) when the type has no fixed size here, when a dimension is
    ///   negative or the sizes overflow, or when the number of bytes differs from what type and dimensions say.
    public init(_ elementType: ONNXElementType, _ dimensions: [Int], bytes: [UInt8]) throws(ONNXError) {
        let expected = try Self.byteCount(elementType, dimensions)
        guard bytes.count == expected else {
            throw ONNXError(
                .malformed, "\(elementType) \(dimensions) takes \(expected) bytes, but \(bytes.count) are stored")
        }
        self.elementType = elementType
        self.dimensions = dimensions
        self.bytes =
            elementType == .bool && bytes.contains { $0 > 1 } ? bytes.map { $0 == 0 ? 0 : 1 } : bytes
    }

    /// A tensor from values in memory order, such as `ONNXTensorValue(.int64, [2], [3, 4] as [Int64])`.
    public init<Element: BitwiseCopyable>(
        _ elementType: ONNXElementType, _ dimensions: [Int], _ values: [Element]
    ) throws(ONNXError) {
        try self.init(elementType, dimensions, bytes: values.withUnsafeBytes { Array($0) })
    }

    /// Wraps bytes that are known to match.
    init(matching elementType: ONNXElementType, _ dimensions: [Int], _ bytes: [UInt8]) {
        self.elementType = elementType
        self.dimensions = dimensions
        self.bytes = bytes
    }

    public var count: Int { dimensions.reduce(1, *) }

    /// The elements as an array of a type of the same size, such as `values(as: Float.self)` of a float tensor.
    public func values<Element: BitwiseCopyable>(as type: Element.Type) -> [Element] {
        precondition(
            bytes.count == count * MemoryLayout<Element>.stride,
            "\(elementType) elements are not of the size of \(Element.self)")
        return bytes.withUnsafeBytes { source in
            [Element](unsafeUninitializedCapacity: count) { target, filled in
                UnsafeMutableRawBufferPointer(target).copyMemory(from: source)
                filled = count
            }
        }
    }

    /// The elements of an integer or bool tensor, widened; nil for other types.
    ///
    /// An unsigned 64-bit value beyond the range is clamped to the largest.
    public var integers: [Int]? {
        switch elementType {
        case .int64: values(as: Int64.self).map(Int.init)
        case .int32: values(as: Int32.self).map(Int.init)
        case .int16: values(as: Int16.self).map(Int.init)
        case .int8: values(as: Int8.self).map(Int.init)
        case .uint8, .bool: bytes.map(Int.init)
        case .uint16: values(as: UInt16.self).map(Int.init)
        case .uint32: values(as: UInt32.self).map(Int.init)
        case .uint64: values(as: UInt64.self).map(Int.init(clamping:))
        default: nil
        }
    }

    /// The elements of a floating-point tensor of any width; nil for other types.
    public var reals: [Double]? {
        switch elementType {
        case .float: values(as: Float.self).map(Double.init)
        case .double: values(as: Double.self)
        case .float16: values(as: UInt16.self).map { Double(Self.half($0)) }
        case .bfloat16: values(as: UInt16.self).map { Double(Float(bitPattern: UInt32($0) << 16)) }
        default: nil
        }
    }

    /// The value of IEEE 754 binary16 bits; written out because `Float16` is missing on some hosts' toolchains.
    static func half(_ bits: UInt16) -> Float {
        let sign: Float = bits & 0x8000 == 0 ? 1 : -1
        let exponent = Int(bits >> 10 & 0x1f)
        let fraction = Float(bits & 0x3ff)
        switch exponent {
        case 0: return sign * fraction * 0x1p-24
        case 31: return bits & 0x3ff == 0 ? sign * .infinity : .nan
        default: return sign * (fraction + 1024) * Float(sign: .plus, exponent: exponent - 25, significand: 1)
        }
    }

    /// The bytes a tensor of this type and shape takes, checked against overflow.
    static func byteCount(_ type: ONNXElementType, _ dimensions: [Int]) throws(ONNXError) -> Int {
        guard let size = type.byteCount else {
            throw ONNXError(.unsupported, "tensors of element type \(type) are not supported")
        }
        guard dimensions.count <= 64 else {
            throw ONNXError(.unsupported, "a tensor of \(dimensions.count) dimensions; at most 64 are read")
        }
        var total = size
        for dimension in dimensions {
            guard dimension >= 0 else {
                throw ONNXError(.malformed, "dimension \(dimension) in \(dimensions) is negative")
            }
            let (product, overflow) = total.multipliedReportingOverflow(by: max(dimension, 1))
            guard !overflow else { throw ONNXError(.malformed, "the dimensions \(dimensions) overflow") }
            total = product
        }
        return dimensions.contains(0) ? 0 : total
    }
}
