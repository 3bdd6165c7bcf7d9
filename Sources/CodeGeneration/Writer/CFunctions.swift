import IR

/// The functions of a program. Equal bodies of equal types are one function.
struct CFunctions {
    /// What makes a function: two nodes that agree on it share one.
    struct Signature: Hashable {
        var body: CBody
        /// Operands by index; those left out have no parameter.
        var operands: [Int: ElementType]
        var results: [ElementType]
        /// Operands that lie in the memory of result 0, by the byte at which they start there.
        var inPlace: [Int: Int]
        /// Whether the body is called once for each share and phase.
        var isShared = false
    }

    private(set) var text = ""
    private(set) var libraryFunctions: Set<String> = []
    private(set) var helpers: Set<String> = []
    private(set) var fragments: [NodeCode.Fragment] = []
    private var names: [Signature: String] = [:]
    private var counts: [String: Int] = [:]
    private var seenFragments: Set<String> = []

    /// The name of the function for a signature, written at its first use.
    mutating func name(of signature: Signature, mnemonic: String, support: [NodeCode.Fragment]) -> String {
        if let known = names[signature] { return known }
        for fragment in support where seenFragments.insert(fragment.name).inserted { fragments.append(fragment) }
        libraryFunctions.formUnion(signature.body.mathFunctions)
        libraryFunctions.formUnion(CHelpers.memoryFunctions.intersection(signature.body.code.words))
        helpers.formUnion(signature.body.helpers)
        let count = counts[mnemonic, default: 0]
        counts[mnemonic] = count + 1
        let name = "\(mnemonic)_\(count)"
        names[signature] = name
        text += Self.definition(name, signature)
        return name
    }

    private static func definition(_ name: String, _ s: Signature) -> String {
        var macros = ["INFINITY": "MARTLET_INFINITY", "NAN": "MARTLET_NAN"]
        for function in s.body.mathFunctions + CHelpers.memoryFunctions {
            macros[function] = "MARTLET_" + function.uppercased()
        }
        let code = s.body.code.replacingWords(macros)
        let used = code.words
        var parameters: [String] = []
        var locals: [String] = []
        var unused: [String] = []
        for (index, element) in s.operands.sorted(by: { $0.key < $1.key }) {
            let parameter = "x\(index)"
            if let offset = s.inPlace[index] {
                // Reached through the result's pointer, so that `restrict` stays true.
                if used.contains(parameter) {
                    let result = s.results[0]
                    let start =
                        offset == 0 && element == result
                        ? "y0"
                        : element == result && offset % element.size == 0
                            ? "y0 + \(offset / element.size)"
                            : "(const void *)((const unsigned char *)y0 + \(offset))"
                    locals.append("const \(element.cType) *const \(parameter) = \(start);")
                }
                continue
            }
            parameters.append("const \(element.cType) *restrict \(parameter)")
            if !used.contains(parameter) { unused.append(parameter) }
        }
        for (index, element) in s.results.enumerated() {
            parameters.append("\(element.cType) *restrict y\(index)")
            if !used.contains("y\(index)") { unused.append("y\(index)") }
        }
        if s.body.scratchBytes > 0 { parameters.append("void *restrict scratch") }
        if s.isShared {
            for parameter in ["part", "phase"] {
                parameters.append("long \(parameter)")
                if !used.contains(parameter) { unused.append(parameter) }
            }
        }
        var text = "MARTLET_FUNCTION void \(name)(\(parameters.joined(separator: ", ")))\n{\n"
        for line in locals { text += "    \(line)\n" }
        for parameter in unused { text += "    (void)\(parameter);\n" }
        for line in code.split(separator: "\n", omittingEmptySubsequences: false) {
            text += line.isEmpty ? "\n" : line.hasPrefix("#") ? "\(line)\n" : "    \(line)\n"
        }
        while text.hasSuffix("\n\n") { text.removeLast() }
        return text + "}\n\n"
    }
}
