import RealModule

/// The floating-point types in which operators are defined: `Float`, and `Double` for gradient checks.
public typealias Scalar = BinaryFloatingPoint & Real & Sendable

/// A constant tensor: little-endian elements in row-major order.
public struct Literal: Hashable, Sendable {
    public let element: ElementType
    public let shape: [Int]
    public let bytes: [UInt8]

    /// - Precondition: `bytes` holds exactly the elements that type and shape say.
    public init(_ element: ElementType, _ shape: [Int], bytes: [UInt8]) {
        precondition(bytes.count == shape.reduce(element.size, *), "a literal's bytes must match its shape")
        self.element = element
        self.shape = shape
        self.bytes = bytes
    }

    public init(_ values: [Float], shape: [Int]? = nil) {
        self.init(.f32, shape ?? [values.count], bytes: values.withUnsafeBytes { Array($0) })
    }

    public init(_ values: [Int], shape: [Int]? = nil, element: ElementType = .i64) {
        self.init(element, shape ?? [values.count], integers: values.map(Int64.init))
    }

    public init(scalar: Double, _ element: ElementType = .f32) { self.init(element, [], reals: [scalar]) }

    /// Stores real values, rounded to the element type (truncated towards zero for integers).
    public init(_ element: ElementType, _ shape: [Int], reals: [Double]) {
        var bytes = [UInt8]()
        bytes.reserveCapacity(reals.count * element.size)
        for value in reals {
            switch element {
            case .f64: Self.append(value.bitPattern, to: &bytes)
            case .f32: Self.append(Float(value).bitPattern, to: &bytes)
            case .f16: Self.append(Float(value).halfBits, to: &bytes)
            case .bf16: Self.append(Float(value).bfloatBits, to: &bytes)
            default: Self.append(Int64(saturating: value), as: element, to: &bytes)
            }
        }
        self.init(element, shape, bytes: bytes)
    }

    /// Stores integers, wrapped to the element type.
    public init(_ element: ElementType, _ shape: [Int], integers: [Int64]) {
        if element.isFloatingPoint {
            self.init(element, shape, reals: integers.map(Double.init))
            return
        }
        var bytes = [UInt8]()
        bytes.reserveCapacity(integers.count * element.size)
        for value in integers { Self.append(value, as: element, to: &bytes) }
        self.init(element, shape, bytes: bytes)
    }

    public var type: TensorType { TensorType(element, shape) }
    public var count: Int { shape.reduce(1, *) }

    /// Every element as a real number.
    public var reals: [Double] {
        bytes.withUnsafeBytes { raw in
            switch element {
            case .f64: (0..<count).map { raw.loadUnaligned(fromByteOffset: $0 * 8, as: Double.self) }
            case .f32: (0..<count).map { Double(raw.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self)) }
            case .f16:
                (0..<count).map { Double(Float(halfBits: raw.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self))) }
            case .bf16:
                (0..<count).map {
                    Double(Float(bfloatBits: raw.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self)))
                }
            case .u64: (0..<count).map { Double(raw.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)) }
            default: integers.map(Double.init)
            }
        }
    }

    /// Every element as `Float`, without a detour where the literal is `f32`.
    public var floats: [Float] {
        guard element == .f32 else { return reals.map(Float.init) }
        return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
            initialized = count
        }
    }

    /// Every element as an integer; reals are truncated towards zero, `u64` keeps its bits.
    public var integers: [Int64] {
        bytes.withUnsafeBytes { raw in
            (0..<count).map { i in
                switch element {
                case .i64, .u64: raw.loadUnaligned(fromByteOffset: i * 8, as: Int64.self)
                case .i32: Int64(raw.loadUnaligned(fromByteOffset: i * 4, as: Int32.self))
                case .u32: Int64(raw.loadUnaligned(fromByteOffset: i * 4, as: UInt32.self))
                case .i16: Int64(raw.loadUnaligned(fromByteOffset: i * 2, as: Int16.self))
                case .u16: Int64(raw.loadUnaligned(fromByteOffset: i * 2, as: UInt16.self))
                case .i8: Int64(raw.load(fromByteOffset: i, as: Int8.self))
                case .u8, .bool: Int64(raw[i])
                case .f64: Int64(saturating: raw.loadUnaligned(fromByteOffset: i * 8, as: Double.self))
                case .f32: Int64(saturating: Double(raw.loadUnaligned(fromByteOffset: i * 4, as: Float.self)))
                case .f16:
                    Int64(
                        saturating: Double(Float(halfBits: raw.loadUnaligned(fromByteOffset: i * 2, as: UInt16.self))))
                case .bf16:
                    Int64(
                        saturating: Double(Float(bfloatBits: raw.loadUnaligned(fromByteOffset: i * 2, as: UInt16.self)))
                    )
                }
            }
        }
    }

    private static func append(_ value: Int64, as element: ElementType, to bytes: inout [UInt8]) {
        switch element.size {
        case 8: append(value, to: &bytes)
        case 4: append(UInt32(truncatingIfNeeded: value), to: &bytes)
        case 2: append(UInt16(truncatingIfNeeded: value), to: &bytes)
        default: bytes.append(element == .bool ? (value == 0 ? 0 : 1) : UInt8(truncatingIfNeeded: value))
        }
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}

extension Int64 {
    /// The integer part of `value`, clamped to the range; zero for NaN.
    public init(saturating value: Double) {
        if value.isNaN {
            self = 0
        } else if value >= 0x1p63 {
            self = .max
        } else if value < -0x1p63 {
            self = .min
        } else {
            self = Int64(value)
        }
    }
}

/// A tensor as the definitions of operators see it: row-major reals of type `R`, or integers.
public struct ReferenceTensor<R: Scalar>: Sendable {
    public enum Storage: Sendable {
        case real([R])
        case integer([Int64])
    }

    public var element: ElementType
    public var shape: [Int]
    public var storage: Storage

    public init(_ element: ElementType, _ shape: [Int], _ values: [R]) {
        self.element = element
        self.shape = shape
        storage = .real(values)
    }

    public init(_ element: ElementType, _ shape: [Int], integers: [Int64]) {
        self.element = element
        self.shape = shape
        storage = .integer(integers)
    }

    /// A result of the given type from reals: kept for floating-point types, else truncated and wrapped.
    public init(_ type: TensorType, _ values: [R]) {
        if type.element.isFloatingPoint {
            self.init(type.element, type.shape, values)
        } else {
            self.init(type, integers: values.map { Int64(saturating: Double($0)) })
        }
    }

    /// A result of the given type from integers, wrapped to its width.
    public init(_ type: TensorType, integers: [Int64]) {
        if type.element.isFloatingPoint {
            self.init(type.element, type.shape, integers.map { R($0) })
        } else {
            self.init(type.element, type.shape, integers: integers.map(type.element.wrap))
        }
    }

    public init(_ literal: Literal) {
        if literal.element.isFloatingPoint {
            self.init(literal.element, literal.shape, literal.reals.map { R($0) })
        } else {
            self.init(literal.element, literal.shape, integers: literal.integers)
        }
    }

    public var count: Int { shape.reduce(1, *) }
    public var type: TensorType { TensorType(element, shape) }

    /// Every element as a real number.
    public var reals: [R] {
        switch storage {
        case .real(let values): values
        case .integer(let values): element == .u64 ? values.map { R(UInt64(bitPattern: $0)) } : values.map { R($0) }
        }
    }

    /// Every element as an integer.
    public var integers: [Int64] {
        switch storage {
        case .real(let values): values.map { Int64(saturating: Double($0)) }
        case .integer(let values): values
        }
    }

    public var literal: Literal {
        switch storage {
        case .real(let values): Literal(element, shape, reals: values.map { Double($0) })
        case .integer(let values): Literal(element, shape, integers: values)
        }
    }
}
