/// Hands out C identifiers, each once.
struct CNames {
    private var taken: Set<String> = []

    /// An identifier like `text` that was not handed out before.
    mutating func unique(_ text: String, fallback: String) -> String {
        let base = Self.identifier(text, fallback: fallback)
        var name = base, count = 2
        while !taken.insert(name).inserted {
            name = "\(base)_\(count)"
            count += 1
        }
        return name
    }

    /// `text` as an identifier of C and C++: other characters become single underscores, and words that the languages or
    /// their libraries use get one behind them.
    static func identifier(_ text: String, fallback: String) -> String {
        var name = ""
        for scalar in text.unicodeScalars {
            let isWord = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
            if isWord { name.unicodeScalars.append(scalar) } else if name.last != "_" { name += "_" }
        }
        while name.first == "_" { name.removeFirst() }
        while name.last == "_" { name.removeLast() }
        name = String(name.prefix(60))
        guard let first = name.unicodeScalars.first else { return fallback }
        if ("0"..."9").contains(first) { name = "\(fallback)_\(name)" }
        return reserved.contains(name) ? name + "_" : name
    }

    /// Keywords of C11 and C++20, and macros that compilers or the included headers define.
    static let reserved = Set(
        """
        alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl concept
        const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do double
        dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace new
        noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires restrict
        return short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try
        typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while xor xor_eq
        linux unix i386 arm mips sparc sun vax NULL NAN INFINITY HUGE_VAL assert errno stdin stdout stderr main I complex
        imaginary huge_val min max near far hooks weights parallel
        """.split(whereSeparator: \.isWhitespace).map(String.init))
}

extension String {
    /// The text made safe inside a C comment: printable ASCII that neither opens nor closes one.
    var inComment: String {
        var text = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "*": text += "+"
            case "\\": text += "|"
            case "?": text += "."
            case let s where s.isASCII && s.value >= 32 && s.value < 127: text.unicodeScalars.append(s)
            default: text += "<\(String(scalar.value, radix: 16))>"
            }
        }
        return text
    }

    /// The text as a C string literal, quotes included.
    var cLiteral: String {
        var text = "\""
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "\""): text += "\\\""
            case UInt8(ascii: "\\"): text += "\\\\"
            // Two question marks could start a trigraph.
            case UInt8(ascii: "?"): text += "\\?"
            case UInt8(ascii: "\n"): text += "\\n"
            case 32..<127: text.unicodeScalars.append(UnicodeScalar(byte))
            // Three octal digits end by themselves, so that a digit may follow.
            default: text += "\\" + String(512 + Int(byte), radix: 8).suffix(3)
            }
        }
        return text + "\""
    }

    /// The text with each of the given words replaced where it stands as a whole word.
    func replacingWords(_ words: [String: String]) -> String {
        var result: [UInt8] = []
        var word: [UInt8] = []
        func flush() {
            if let other = words[String(decoding: word, as: UTF8.self)] {
                result += Array(other.utf8)
            } else {
                result += word
            }
            word = []
        }
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                word.append(byte)
            default:
                flush()
                result.append(byte)
            }
        }
        flush()
        return String(decoding: result, as: UTF8.self)
    }

    /// The identifiers and numbers that occur in the text.
    var words: Set<String> {
        Set(split { !($0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_")) }.map(String.init))
    }
}
