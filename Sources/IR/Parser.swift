/// Text that is not a graph.
public struct ParseError: Error, Hashable, Sendable, CustomStringConvertible {
    public var file: String
    public var line: Int
    public var column: Int
    public var message: String

    public init(file: String, line: Int, column: Int, message: String) {
        (self.file, self.line, self.column, self.message) = (file, line, column, message)
    }

    public var description: String { "\(file):\(line):\(column): \(message)" }
}

extension Graph {
    /// Reads the text form.
    ///
    /// - Parameter operators: the operators that may occur, by mnemonic.
    /// - Throws: ``ParseError`` with line and column, also where types do not fit.
    public init(parsing text: String, operators: [String: any Operator.Type], file: String = "graph") throws(ParseError)
    {
        var parser = Parser(text: text, operators: operators, file: file)
        self = try parser.graph()
    }
}

private struct Parser {
    let bytes: [UInt8]
    let operators: [String: any Operator.Type]
    let file: String
    var position = 0
    var values: [String: Value] = [:]
    var g = GraphBuilder()

    init(text: String, operators: [String: any Operator.Type], file: String) {
        bytes = Array(text.utf8)
        self.operators = operators
        self.file = file
    }

    // MARK: Grammar

    mutating func graph() throws(ParseError) -> Graph {
        try expect("graph")
        try expect("@")
        g = GraphBuilder(name: try identifier("the graph's name"))
        try expect("(")
        while !accept(")") {
            if !g.graph.inputs.isEmpty { try expect(",") }
            let name = try valueName()
            let label = peek() == "\"" ? try string() : name
            try expect(":")
            try define(name, g.input(label, try type()))
        }
        try expect("{")
        while !accept("return") { try node() }
        var outputs: [Value] = []
        var labels: [String?] = []
        if peek() == "%" {
            repeat {
                outputs.append(try operand())
                labels.append(peek() == "\"" ? try string() : nil)
            } while accept(",")
        }
        try expect("}")
        skipSpace()
        guard position == bytes.count else { throw error("text after the graph's end") }
        let names = labels.enumerated().map { $1 ?? (outputs.count == 1 ? "output" : "output\($0)") }
        return g.finish(outputs: outputs, names: names)
    }

    private mutating func node() throws(ParseError) {
        skipSpace()
        let place = position
        var names = [try valueName()]
        while accept(",") { names.append(try valueName()) }
        try expect("=")
        skipSpace()
        let start = position
        let mnemonic = try identifier("an operator")
        let name = peek() == "\"" ? try string() : nil
        if mnemonic == Constant.mnemonic { return try constant(names, name, at: place) }
        var operands: [Value] = []
        if peek() == "%" { repeat { operands.append(try operand()) } while accept(",") }
        let attributes = peek() == "{" ? try record() : []
        var schedule = Schedule()
        if accept("schedule") { schedule = Schedule(try record()) }
        try expect(":")
        var types = [try type()]
        while accept(",") { types.append(try type()) }
        guard types.count == names.count else { throw error("\(names.count) results have \(types.count) types") }
        let op: any Operator
        if mnemonic == Parameter.mnemonic {
            op = Parameter(types[0])
        } else {
            guard let known = operators[mnemonic] else { throw error(unknown(mnemonic), at: start) }
            do { op = try known.init(attributes: attributes) } catch {
                throw self.error("\(mnemonic): \(error)", at: start)
            }
            let inferred: [TensorType]
            do { inferred = try op.inferPlain(g.types(of: operands)) } catch {
                throw self.error("\(error)", at: start)
            }
            guard inferred == types.map(\.plain) else {
                throw error("\(mnemonic) gives \(inferred), but \(types) is written", at: start)
            }
        }
        let node = Node(op, operands, [], name: name, schedule: schedule)
        for (name, value) in zip(names, g.copy(node, operands: operands, types: types)) {
            try define(name, value, at: place)
        }
    }

    private mutating func constant(_ names: [String], _ name: String?, at place: Int) throws(ParseError) {
        skipSpace()
        let start = position
        var raw: [UInt8]?
        var items: [AttributeValue] = []
        if accept("0x") {
            raw = try hexadecimal()
        } else if case .list(let list) = try attributeValue() {
            items = list
        } else {
            throw error("a constant is a list of numbers or 0x and hexadecimal digits", at: start)
        }
        try expect(":")
        let type = try type()
        let count = raw.map { $0.count / type.element.size } ?? items.count
        guard count == type.count, raw.map({ $0.count % type.element.size == 0 }) ?? true, names.count == 1 else {
            throw error("a constant of type \(type) needs \(type.count) elements, found \(count)", at: start)
        }
        let literal: Literal
        if let raw {
            literal = Literal(type.element, type.shape, bytes: raw)
        } else if type.element.isFloatingPoint {
            literal = Literal(type.element, type.shape, reals: items.map(\.number))
        } else {
            literal = Literal(
                type.element, type.shape,
                integers: items.map {
                    if case .integer(let value) = $0 { Int64(value) } else { Int64(saturating: $0.number) }
                })
        }
        let node = Node(Constant(literal), [], [], name: name)
        try define(names[0], g.copy(node, operands: [], types: [type])[0], at: place)
    }

    private mutating func type() throws(ParseError) -> TensorType {
        skipSpace()
        let start = position
        let name = try identifier("an element type")
        guard let element = ElementType(rawValue: name) else {
            let known = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
            throw error("unknown element type '\(name)'; known: \(known)", at: start)
        }
        try expect("[")
        var shape: [Int] = []
        while !accept("]") {
            if !shape.isEmpty { try expect(",") }
            guard case .integer(let size) = try number(), size >= 0 else {
                throw error("a dimension is a whole number")
            }
            shape.append(size)
        }
        guard position < bytes.count, bytes[position] == UInt8(ascii: "@") else { return TensorType(element, shape) }
        position += 1
        let layout = try identifier("a layout")
        guard layout.hasPrefix("nhwc"), let padding = layout == "nhwc" ? 1 : Int(layout.dropFirst(4)), padding > 0
        else {
            throw error("unknown layout '\(layout)'; known: nhwc, nhwc<padding>")
        }
        return TensorType(element, shape, layout: .channelsLast(padding: padding))
    }

    private mutating func record() throws(ParseError) -> [Attribute] {
        try expect("{")
        var fields: [Attribute] = []
        while !accept("}") {
            if !fields.isEmpty { try expect(",") }
            let name = try identifier("an attribute's name")
            try expect("=")
            fields.append(Attribute(name, try attributeValue()))
        }
        return fields
    }

    private mutating func attributeValue() throws(ParseError) -> AttributeValue {
        switch peek() {
        case "\"": return .string(try string())
        case "{": return .record(try record())
        case "[":
            try expect("[")
            var items: [AttributeValue] = []
            while !accept("]") {
                if !items.isEmpty { try expect(",") }
                items.append(try attributeValue())
            }
            return .list(items)
        default:
            if accept("true") { return .bool(true) }
            if accept("false") { return .bool(false) }
            if accept("none") { return AttributeValue.none }
            return try number()
        }
    }

    // MARK: Words

    private mutating func operand() throws(ParseError) -> Value {
        skipSpace()
        let start = position
        let name = try valueName()
        guard let value = values[name] else { throw error("%\(name) is not defined before its use", at: start) }
        return value
    }

    private mutating func define(_ name: String, _ value: Value, at place: Int? = nil) throws(ParseError) {
        guard values.updateValue(value, forKey: name) == nil else {
            throw error("%\(name) is defined a second time", at: place)
        }
    }

    private mutating func valueName() throws(ParseError) -> String {
        try expect("%")
        return try identifier("a value's name")
    }

    private mutating func identifier(_ what: String) throws(ParseError) -> String {
        skipSpace()
        let start = position
        while position < bytes.count, isWord(bytes[position]) { position += 1 }
        guard position > start else { throw error("expected \(what)") }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func number() throws(ParseError) -> AttributeValue {
        skipSpace()
        let start = position
        while position < bytes.count, isWord(bytes[position]) || "+-".utf8.contains(bytes[position]) { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if let integer = Int(text) { return .integer(integer) }
        if let real = Double(text) { return .real(real) }
        throw error("expected a number, found '\(text)'", at: start)
    }

    private mutating func hexadecimal() throws(ParseError) -> [UInt8] {
        var result: [UInt8] = []
        func digit(_ byte: UInt8) -> UInt8? { Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init) }
        while position + 1 < bytes.count, let high = digit(bytes[position]), let low = digit(bytes[position + 1]) {
            result.append(high << 4 | low)
            position += 2
        }
        return result
    }

    private mutating func string() throws(ParseError) -> String {
        try expect("\"")
        var text: [UInt8] = []
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
            var byte = bytes[position]
            position += 1
            if byte == UInt8(ascii: "\\"), position < bytes.count {
                byte = bytes[position]
                position += 1
                switch UnicodeScalar(byte) {
                case "n": byte = 10
                case "t": byte = 9
                case "u":
                    guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "}")),
                        let code = UInt8(String(decoding: bytes[(position + 1)..<end], as: UTF8.self), radix: 16)
                    else { throw error("a \\u escape needs hexadecimal digits in braces") }
                    byte = code
                    position = end + 1
                default: break
                }
            }
            text.append(byte)
        }
        try expect("\"")
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func accept(_ word: String) -> Bool {
        skipSpace()
        let end = position + word.utf8.count
        guard end <= bytes.count, bytes[position..<end].elementsEqual(word.utf8) else { return false }
        if let last = word.utf8.last, word != "0x", isWord(last), end < bytes.count, isWord(bytes[end]) { return false }
        position = end
        return true
    }

    private mutating func expect(_ word: String) throws(ParseError) {
        guard accept(word) else {
            let found =
                position < bytes.count ? "'\(Character(UnicodeScalar(bytes[position])))'" : "the end of the text"
            throw error("expected '\(word)', found \(found)")
        }
    }

    private mutating func peek() -> Character? {
        skipSpace()
        return position < bytes.count ? Character(UnicodeScalar(bytes[position])) : nil
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "/"), position + 1 < bytes.count,
                bytes[position + 1] == UInt8(ascii: "/")
            {
                while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
            } else if " \t\r\n".utf8.contains(bytes[position]) {
                position += 1
            } else {
                return
            }
        }
    }

    private func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "/"):
            true
        default: false
        }
    }

    // MARK: Errors

    private func error(_ message: String, at place: Int? = nil) -> ParseError {
        let before = bytes[..<(place ?? position)]
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let column = before.count - (before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0) + 1
        return ParseError(file: file, line: line, column: column, message: message)
    }

    private func unknown(_ mnemonic: String) -> String {
        let near = operators.keys.sorted().filter { $0.hasPrefix(String(mnemonic.prefix(3))) }
        return "unknown operator '\(mnemonic)'" + (near.isEmpty ? "" : "; similar: \(near.joined(separator: ", "))")
    }
}

extension AttributeValue {
    fileprivate var number: Double {
        switch self {
        case .integer(let value): Double(value)
        case .real(let value): value
        default: .nan
        }
    }
}
