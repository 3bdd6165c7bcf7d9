/// A 128-bit hash that names programs in caches and databases.
///
/// It guards against accidents, not attackers: two 64-bit lanes of multiply, rotate and xor with a strong final mix, in
/// the manner of MurmurHash3 (Appleby, 2011), fed in words because programs carry megabytes of weights.
public struct Fingerprint: Hashable, Sendable, CustomStringConvertible {
    private var a: UInt64 = 0x9e37_79b9_7f4a_7c15
    private var b: UInt64 = 0xd1b5_4a32_d192_ed03
    private var length: UInt64 = 0

    public init() {}

    /// Adds a field; its length goes in too, so that fields cannot run into one another.
    public mutating func add(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset + 8 <= buffer.count {
                add(UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
                offset += 8
            }
            var rest: UInt64 = 0
            for index in offset..<buffer.count { rest |= UInt64(buffer[index]) << UInt64(8 * (index - offset)) }
            add(rest)
            add(UInt64(buffer.count))
        }
    }

    public mutating func add(_ text: String) { add(Array(text.utf8)) }

    public mutating func add(_ texts: [String]) {
        add(UInt64(texts.count))
        for text in texts { add(text) }
    }

    private mutating func add(_ word: UInt64) {
        a = (a ^ (word &* 0x87c3_7b91_1142_53d5)) &* 0x4cf5_ad43_2745_937f
        a = ((a << 27) | (a >> 37)) &+ b
        b = (b ^ (word &* 0x4cf5_ad43_2745_937f)) &* 0x87c3_7b91_1142_53d5
        b = ((b << 31) | (b >> 33)) &+ a
        length &+= 1
    }

    private static func mixed(_ word: UInt64) -> UInt64 {
        var word = word
        word = (word ^ (word >> 33)) &* 0xff51_afd7_ed55_8ccd
        word = (word ^ (word >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        return word ^ (word >> 33)
    }

    /// 32 hexadecimal digits.
    public var description: String {
        let first = Fingerprint.mixed(a ^ length) &+ Fingerprint.mixed(b)
        let second = first &+ Fingerprint.mixed(b &+ length)
        return [first, second].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
