extension CProgram {
    /// The condition of the preprocessor under which embedded weights are a binary file that the assembler includes.
    ///
    /// Compilers that meet it have GNU's assembler or their own of its language; tcc's knows no `.incbin`.
    /// Whoever defines `MARTLET_WEIGHTS_TEXT` has text as well.
    public static let assemblesWeights =
        "defined(__GNUC__) && defined(__ELF__) && !defined(__TINYC__) && !defined(MARTLET_WEIGHTS_TEXT)"

    /// The C text that stands in for a binary file of weights: `NAME_weights.inc` for `NAME_weights.bin`, `nil` for others.
    public static func weightsTextName(for name: String) -> String? {
        name.hasSuffix("_weights.bin") ? name.dropLast(3) + "inc" : nil
    }

    /// A binary file of weights as C text: words of eight bytes, which is what such a file is made of.
    ///
    /// `nil` for any other file.
    public static func weightsText(for name: String, contents: [UInt8]) -> File? {
        guard let textName = weightsTextName(for: name), contents.count % 8 == 0 else { return nil }
        let digits = Array("0123456789abcdef".utf8)
        let perLine = 6
        var text: [UInt8] = []
        text.reserveCapacity(contents.count / 8 * 19 + contents.count / 8 / perLine + 1)
        for word in 0..<contents.count / 8 {
            text.append(UInt8(ascii: "0"))
            text.append(UInt8(ascii: "x"))
            for byte in (word * 8..<word * 8 + 8).reversed() {
                text.append(digits[Int(contents[byte] >> 4)])
                text.append(digits[Int(contents[byte] & 15)])
            }
            text.append(UInt8(ascii: ","))
            if word % perLine == perLine - 1 { text.append(UInt8(ascii: "\n")) }
        }
        text.append(UInt8(ascii: "\n"))
        return File(textName, contents: text)
    }
}
