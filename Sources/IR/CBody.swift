/// The body of a C function that computes an operator's results for given types.
///
/// The generator puts it into `static void NAME(const T0 *restrict x0, …, U0 *restrict y0, …, void *restrict scratch)`
/// with the C types of the operands and results, all row-major, and calls it. Dimensions are literals in the text, so
/// that equal bodies of equal types are one function. C99; locals only; nothing beyond the listed helpers.
public struct CBody: Hashable, Sendable {
    public var code: String
    /// Functions of `math.h` that the body calls, such as `expf`. The body writes a call as `MARTLET_EXPF(x)`, a macro
    /// that the generator defines as the function unless the user has defined it before.
    public var mathFunctions: [String]
    /// Named helper functions of the generator's library that the body calls.
    public var helpers: [String]
    public var scratchBytes: Int

    public init(_ code: String, mathFunctions: [String] = [], helpers: [String] = [], scratchBytes: Int = 0) {
        self.code = code
        self.mathFunctions = mathFunctions
        self.helpers = helpers
        self.scratchBytes = scratchBytes
    }
}

extension ElementType {
    /// The C type that stores an element; 16-bit reals are stored as their bits.
    public var cType: String {
        switch self {
        case .f64: "double"
        case .f32: "float"
        case .f16, .bf16: "uint16_t"
        case .bool: "uint8_t"
        case .i64, .i32, .i16, .i8: "int\(size * 8)_t"
        case .u64, .u32, .u16, .u8: "uint\(size * 8)_t"
        }
    }
}
