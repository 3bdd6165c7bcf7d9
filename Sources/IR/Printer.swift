extension Graph: CustomStringConvertible {
    /// The text form. Deterministic; reading it back gives an equal graph.
    ///
    ///     graph @block(%x: f32[1,16,8,8]) {
    ///       %0 = parameter "conv.filter" : f32[16,16,3,3]
    ///       %1 = conv2d "conv" %x, %0 {padding = [1, 1, 1, 1]} : f32[1,16,8,8]
    ///       return %1
    ///     }
    public var description: String { Printer(graph: self).text() }
}

private struct Printer {
    let graph: Graph
    var names: [String]

    init(graph: Graph) {
        self.graph = graph
        names = [String](repeating: "?", count: graph.valueCount)
        var taken = Set<String>()
        var anonymous = 0
        for (input, name) in zip(graph.inputs, graph.inputNames) {
            if isIdentifier(name), taken.insert(name).inserted {
                names[input.id] = "%" + name
            } else {
                names[input.id] = "%_\(anonymous)"
                anonymous += 1
            }
        }
        var next = 0
        for node in graph.nodes {
            for result in node.results {
                names[result.id] = "%\(next)"
                next += 1
            }
        }
    }

    func text() -> String {
        let inputs = zip(graph.inputs, graph.inputNames).map { value, name in
            let quoted = names[value.id] == "%" + name ? "" : " " + AttributeValue.quote(name)
            return "\(names[value.id])\(quoted): \(graph.type(of: value))"
        }
        var text = "graph @\(graph.name)(\(inputs.joined(separator: ", "))) {\n"
        for node in graph.nodes { text += "  \(line(node))\n" }
        let outputs = zip(graph.outputs, graph.outputNames).enumerated().map { index, output in
            let usual = graph.outputs.count == 1 ? "output" : "output\(index)"
            return names[output.0.id] + (output.1 == usual ? "" : " " + AttributeValue.quote(output.1))
        }
        return text + "  return \(outputs.joined(separator: ", "))\n}\n"
    }

    private func line(_ node: Node) -> String {
        var parts = [node.results.map { names[$0.id] }.joined(separator: ", "), "=", node.op.mnemonic]
        if let name = node.name { parts.append(AttributeValue.quote(name)) }
        if !node.operands.isEmpty { parts.append(node.operands.map { names[$0.id] }.joined(separator: ", ")) }
        if let constant = node.op as? Constant {
            parts.append(constant.literal.text)
        } else if !(node.op is any SourceOperator) {
            // Every operator's attributes can be written; a failure would be a declaration of ours with an odd property.
            let attributes = (try? node.op.attributes()) ?? []
            if !attributes.isEmpty { parts.append(AttributeValue.record(attributes).description) }
        }
        if !node.schedule.isEmpty { parts.append("schedule \(AttributeValue.record(node.schedule.decisions))") }
        parts.append(":")
        parts.append(graph.types(of: node.results).map(\.description).joined(separator: ", "))
        return parts.joined(separator: " ")
    }
}

/// Letters, digits, `_`, `.` and `/`, not starting with a digit or with the printer's own `_0`.
func isIdentifier(_ name: String) -> Bool {
    guard let first = name.unicodeScalars.first, first.isASCII, first.properties.isAlphabetic else { return false }
    return name.unicodeScalars.allSatisfy {
        $0.isASCII
            && ($0.properties.isAlphabetic || $0.properties.numericType != nil || $0 == "_" || $0 == "." || $0 == "/")
    }
}

extension Literal {
    /// Up to 16 finite values as a list, otherwise the bytes in hexadecimal.
    var text: String {
        let isShort = count <= 16
        if isShort && element == .f32 && floats.allSatisfy(\.isFinite) { return "\(floats)" }
        if isShort && element == .f64 && reals.allSatisfy(\.isFinite) { return "\(reals)" }
        if isShort && !element.isFloatingPoint && element != .u64 { return "\(integers)" }
        var text = "0x"
        text.reserveCapacity(bytes.count * 2 + 2)
        let digits = Array("0123456789abcdef".utf8)
        var hex: [UInt8] = []
        hex.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            hex.append(digits[Int(byte >> 4)])
            hex.append(digits[Int(byte & 15)])
        }
        text += String(decoding: hex, as: UTF8.self)
        return text
    }
}
