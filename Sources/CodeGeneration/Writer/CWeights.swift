import IR

/// The constants of a program: one blob in which each starts on a cache line, or C arrays.
struct CWeights {
    static let alignment = 64

    /// A constant's place.
    struct Slot {
        var offset: Int
        var literal: Literal
        /// The name of the array in C text.
        var array: String
    }

    private(set) var slots: [Slot] = []
    private(set) var blob: [UInt8] = []
    private var known: [Literal: Int] = [:]

    /// The slot of a literal; equal literals share one.
    mutating func slot(of literal: Literal) -> Slot {
        if let index = known[literal] { return slots[index] }
        let offset = blob.count
        blob += literal.bytes
        blob += [UInt8](repeating: 0, count: (Self.alignment - blob.count % Self.alignment) % Self.alignment)
        known[literal] = slots.count
        slots.append(Slot(offset: offset, literal: literal, array: "weights_\(slots.count)"))
        return slots[slots.count - 1]
    }

    /// The 64-bit FNV-1a hash of the blob, which the emitted check computes as well.
    var hash: UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        blob.withUnsafeBytes { for byte in $0 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 } }
        return hash
    }

    /// The constants as C arrays.
    func arrays() -> String {
        var text = ""
        for slot in slots {
            let literal = slot.literal
            text +=
                "static const \(literal.element.cType) \(slot.array)[\(max(literal.count, 1))] MARTLET_WEIGHTS_ATTRIBUTE = {\n"
            text += Self.rows(literal)
            text += "};\n"
        }
        return text
    }

    private static func rows(_ literal: Literal) -> String {
        let items: [String] =
            switch literal.element {
            case .f32: literal.floats.map { real($0, "f") }
            case .f64: literal.reals.map { real($0, "") }
            case .f16, .bf16:
                stride(from: 0, to: literal.bytes.count, by: 2).map {
                    "\(Int(literal.bytes[$0]) | Int(literal.bytes[$0 + 1]) << 8)"
                }
            case .u64: literal.integers.map { "\(UInt64(bitPattern: $0))u" }
            // The most negative number has no literal of its own.
            case .i64: literal.integers.map { $0 == .min ? "(-9223372036854775807 - 1)" : "\($0)" }
            case .i32: literal.integers.map { $0 == -0x8000_0000 ? "(-2147483647 - 1)" : "\($0)" }
            default: literal.integers.map { "\($0)" }
            }
        var text = "", line = "   "
        for item in items.isEmpty ? ["0"] : items {
            if line.utf8.count + item.utf8.count > 116 {
                text += line + "\n"
                line = "   "
            }
            line += " " + item + ","
        }
        return text + line + "\n"
    }

    /// The shortest decimal that reads back as the same number.
    private static func real<R: BinaryFloatingPoint & CustomStringConvertible>(_ value: R, _ suffix: String) -> String {
        if value.isNaN { return "MARTLET_NAN" }
        if value.isInfinite { return value < 0 ? "-MARTLET_INFINITY" : "MARTLET_INFINITY" }
        return value.description + suffix
    }
}
