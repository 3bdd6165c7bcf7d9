/// The type of one tensor element, named as in the text form of graphs.
public enum ElementType: String, Codable, CaseIterable, Hashable, Sendable {
    case f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, bool

    /// Bytes of one element in memory.
    public var size: Int {
        switch self {
        case .f64, .i64, .u64: 8
        case .f32, .i32, .u32: 4
        case .f16, .bf16, .i16, .u16: 2
        case .i8, .u8, .bool: 1
        }
    }

    public var isFloatingPoint: Bool {
        switch self {
        case .f64, .f32, .f16, .bf16: true
        default: false
        }
    }

    public var isInteger: Bool { !isFloatingPoint && self != .bool }

    public var isSigned: Bool {
        switch self {
        case .u64, .u32, .u16, .u8, .bool: false
        default: true
        }
    }

    /// The value that `value` becomes when stored as this integer type: two's complement truncation, any non-zero as
    /// true. An `u64` is carried as the `Int64` of the same bits.
    public func wrap(_ value: Int64) -> Int64 {
        switch self {
        case .i32: Int64(Int32(truncatingIfNeeded: value))
        case .i16: Int64(Int16(truncatingIfNeeded: value))
        case .i8: Int64(Int8(truncatingIfNeeded: value))
        case .u32: Int64(UInt32(truncatingIfNeeded: value))
        case .u16: Int64(UInt16(truncatingIfNeeded: value))
        case .u8: Int64(UInt8(truncatingIfNeeded: value))
        case .bool: value == 0 ? 0 : 1
        default: value
        }
    }
}

extension Float {
    /// The nearest IEEE half-precision bits, ties to even.
    public var halfBits: UInt16 {
        let bits = bitPattern
        let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
        let magnitude = bits & 0x7fff_ffff
        if magnitude > 0x7f80_0000 { return sign | 0x7e00 }
        if magnitude >= 0x477f_f000 { return sign | 0x7c00 }
        if magnitude < 0x3880_0000 {
            // Subnormal: adding this constant makes the hardware round at the right bit.
            let shifted = Float(bitPattern: magnitude) + Float(bitPattern: 0x3f00_0000)
            return sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- 0x3f00_0000)
        }
        let rounded = magnitude &+ 0xfff &+ ((magnitude >> 13) & 1) &- 0x3800_0000
        return sign | UInt16(truncatingIfNeeded: rounded >> 13)
    }

    public init(halfBits bits: UInt16) {
        let sign = UInt32(bits & 0x8000) << 16
        let exponent = UInt32(bits >> 10) & 31
        let fraction = UInt32(bits & 0x3ff)
        if exponent == 31 {
            self.init(bitPattern: sign | 0x7f80_0000 | fraction << 13)
        } else if exponent == 0 {
            let magnitude = Float(fraction) * 0x1p-24
            self = sign == 0 ? magnitude : -magnitude
        } else {
            self.init(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }

    /// The nearest bfloat16 bits, ties to even.
    public var bfloatBits: UInt16 {
        if isNaN { return UInt16(truncatingIfNeeded: bitPattern >> 16) | 0x40 }
        return UInt16(truncatingIfNeeded: (bitPattern &+ 0x7fff &+ ((bitPattern >> 16) & 1)) >> 16)
    }

    public init(bfloatBits bits: UInt16) { self.init(bitPattern: UInt32(bits) << 16) }
}
