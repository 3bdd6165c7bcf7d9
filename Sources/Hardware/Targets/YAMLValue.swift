import Yams

/// A node of a YAML file that knows its file and its place, with typed access that names what was expected.
struct YAMLValue {
    let node: Node
    let file: String

    /// Parses a whole file.
    ///
    /// - Throws: ``HardwareError`` with the place and the parser's word on it.
    init(parsing text: String, file: String) throws(HardwareError) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw YAMLValue.fault(error, file: file)
        } catch {
            throw HardwareError(.badTarget, "\(file): the text is not YAML: \(error)")
        }
        guard let root else { throw HardwareError(.badTarget, "\(file): the file is empty; expected a mapping") }
        self.init(node: root, file: file)
    }

    private init(node: Node, file: String) {
        self.node = node
        self.file = file
    }

    var location: SourceLocation {
        SourceLocation(file: file, line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
    }

    /// The node's own words, short enough for a message.
    var found: String {
        switch node {
        case .scalar(let scalar): scalar.string.isEmpty ? "nothing" : "'\(scalar.string.prefix(40))'"
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    func fault(_ message: String) -> HardwareError { HardwareError(.badTarget, message, at: location) }

    /// The entries of a mapping, after its keys were checked against the known ones.
    ///
    /// - Throws: ``HardwareError`` at the first unknown or missing key.
    func mapping(_ subject: String, required: [String], optional: [String] = []) throws(HardwareError) -> YAMLMapping {
        guard case .mapping(let mapping) = node else { throw fault("\(subject): expected a mapping, found \(found)") }
        let known = required + optional
        var entries: [String: YAMLValue] = [:]
        for (key, value) in mapping {
            let name = key.scalar?.string ?? "?"
            guard known.contains(name) else {
                throw YAMLValue(node: key, file: file)
                    .fault("\(subject): unknown key '\(name)'; known: \(known.joined(separator: ", "))")
            }
            entries[name] = YAMLValue(node: value, file: file)
        }
        for name in required where entries[name] == nil {
            throw fault("\(subject): the key '\(name)' is missing")
        }
        return YAMLMapping(entries: entries, subject: subject)
    }

    /// The pairs of a mapping with free keys, in the order of the file.
    func pairs(_ subject: String) throws(HardwareError) -> [(name: String, value: YAMLValue)] {
        guard case .mapping(let mapping) = node else { throw fault("\(subject): expected a mapping, found \(found)") }
        return mapping.map { ($0.key.scalar?.string ?? "?", YAMLValue(node: $0.value, file: file)) }
    }

    func list(_ subject: String) throws(HardwareError) -> [YAMLValue] {
        guard case .sequence(let sequence) = node else { throw fault("\(subject): expected a list, found \(found)") }
        return sequence.map { YAMLValue(node: $0, file: file) }
    }

    func string(_ subject: String) throws(HardwareError) -> String {
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            throw fault("\(subject): expected text, found \(found)")
        }
        return scalar.string
    }

    func strings(_ subject: String) throws(HardwareError) -> [String] {
        var texts: [String] = []
        for item in try list(subject) { texts.append(try item.string(subject)) }
        return texts
    }

    func integer(_ subject: String, in range: ClosedRange<Int> = 0...Int.max) throws(HardwareError) -> Int {
        guard let number = Int(try string(subject)), range.contains(number) else {
            let bound =
                range.upperBound == Int.max
                ? "of at least \(range.lowerBound)" : "in \(range.lowerBound)...\(range.upperBound)"
            throw fault("\(subject): expected an integer \(bound), found \(found)")
        }
        return number
    }

    func boolean(_ subject: String) throws(HardwareError) -> Bool {
        switch try string(subject) {
        case "true": return true
        case "false": return false
        default: throw fault("\(subject): expected true or false, found \(found)")
        }
    }

    /// An address: decimal, or hexadecimal after `0x`.
    func address(_ subject: String) throws(HardwareError) -> UInt64 {
        let text = try string(subject)
        let number = text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
        guard let number else { throw fault("\(subject): expected an address such as 0x20000000, found \(found)") }
        return number
    }

    /// A number with one of the units, such as `32 KiB`.
    func quantity(_ subject: String, units: [(name: String, factor: Int)]) throws(HardwareError) -> Int {
        let parts = try string(subject).split(separator: " ")
        if parts.count == 2, let number = Int(parts[0]), number >= 0,
            let unit = units.first(where: { $0.name == parts[1] })
        {
            let product = number.multipliedReportingOverflow(by: unit.factor)
            if !product.overflow { return product.partialValue }
        }
        let names = units.map(\.name).joined(separator: ", ")
        throw fault("\(subject): expected an integer and a unit (\(names)), found \(found)")
    }

    func bytes(_ subject: String) throws(HardwareError) -> Int {
        try quantity(subject, units: [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)])
    }

    func hertz(_ subject: String) throws(HardwareError) -> Int {
        try quantity(subject, units: [("Hz", 1), ("kHz", 1_000), ("MHz", 1_000_000), ("GHz", 1_000_000_000)])
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ subject: String, _: Choice.Type = Choice.self
    ) throws(HardwareError) -> Choice where Choice.RawValue == String {
        guard let choice = Choice(rawValue: try string(subject)) else {
            let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw fault("\(subject): unknown value \(found); known: \(known)")
        }
        return choice
    }

    private static func fault(_ error: YamlError, file: String) -> HardwareError {
        let mark: Mark? =
            switch error {
            case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _): mark
            case .duplicatedKeysInMapping(_, let context): context.mark
            default: nil
            }
        let message: String =
            switch error {
            case .scanner(_, let problem, _, _), .parser(_, let problem, _, _), .composer(_, let problem, _, _): problem
            case .duplicatedKeysInMapping(let names, _): "the key '\(names.first ?? "?")' occurs twice"
            default: "the text is not YAML"
            }
        return HardwareError(
            .badTarget, message, at: SourceLocation(file: file, line: mark?.line ?? 1, column: mark?.column ?? 1))
    }
}

/// The entries of a YAML mapping whose keys are known to be there or not.
struct YAMLMapping {
    fileprivate let entries: [String: YAMLValue]
    let subject: String

    /// The value of a required key.
    subscript(_ name: String) -> YAMLValue {
        guard let value = entries[name] else { preconditionFailure("'\(name)' was not listed as required") }
        return value
    }

    /// The value of an optional key.
    func optional(_ name: String) -> YAMLValue? { entries[name] }

    /// The words for a message about a key.
    func name(_ key: String) -> String { "\(subject): \(key)" }
}
