import Yams

/// A place in a YAML description: the value there, and where it is, for errors that point at it.
///
/// The readers of this module see YAML through this type alone, so every fault carries file, line and column.
struct Description {
    let node: Node
    let file: String

    /// Reads a whole text.
    init(text: String, file: String) throws(SpaceError) {
        self.file = file
        let composed: Node?
        do { composed = try Yams.compose(yaml: text) } catch { throw Self.syntaxError(error, file: file) }
        guard let composed else { throw SpaceError(.syntax, "an empty description", file: file) }
        node = composed
    }

    private init(_ node: Node, file: String) { (self.node, self.file) = (node, file) }

    private static func syntaxError(_ error: any Error, file: String) -> SpaceError {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            SpaceError(.syntax, "not valid YAML: \(problem)", file: file, line: mark.line, column: mark.column)
        case .duplicatedKeysInMapping(let duplicates, let context):
            SpaceError(
                .syntax, "the same key twice: \(duplicates.joined(separator: ", "))", file: file,
                line: context.mark.line, column: context.mark.column)
        default: SpaceError(.syntax, "not valid YAML: \(error)", file: file)
        }
    }

    func error(_ code: SpaceError.Code, _ message: String) -> SpaceError {
        SpaceError(code, message, file: file, line: node.mark?.line ?? 0, column: node.mark?.column ?? 0)
    }

    /// The kind of value found here, as an error names it.
    private var kind: String {
        switch node {
        case .scalar(let scalar): "'\(scalar.string)'"
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    var isList: Bool { node.sequence != nil }
    var isMapping: Bool { node.mapping != nil }

    func string(_ subject: String) throws(SpaceError) -> String {
        guard let text = node.scalar?.string else { throw error(.value, "\(subject): expects a word, found \(kind)") }
        return text
    }

    func integer(_ subject: String, in range: ClosedRange<Int>) throws(SpaceError) -> Int {
        guard let value = node.int else { throw error(.value, "\(subject): expects an integer, found \(kind)") }
        guard range.contains(value) else {
            throw error(
                .value, "\(subject): expects \(range.lowerBound) to \(range.upperBound), found \(value)")
        }
        return value
    }

    func real(_ subject: String, in range: ClosedRange<Double>) throws(SpaceError) -> Double {
        guard let value = node.float else { throw error(.value, "\(subject): expects a number, found \(kind)") }
        guard range.contains(value) else {
            throw error(
                .value, "\(subject): expects \(range.lowerBound) to \(range.upperBound), found \(value)")
        }
        return value
    }

    func list(_ subject: String) throws(SpaceError) -> [Description] {
        guard let items = node.sequence else { throw error(.value, "\(subject): expects a list, found \(kind)") }
        guard !items.isEmpty else { throw error(.value, "\(subject): the list is empty") }
        return items.map { Description($0, file: file) }
    }

    /// A value that may be written alone or as a list.
    func oneOrMore(_ subject: String) throws(SpaceError) -> [Description] { isList ? try list(subject) : [self] }

    /// The pairs of a mapping in the order written; each key keeps its place for errors.
    func pairs(_ subject: String) throws(SpaceError) -> [(key: Description, name: String, value: Description)] {
        guard let mapping = node.mapping else {
            throw error(.value, "\(subject): expects keys and values, found \(kind)")
        }
        var pairs: [(key: Description, name: String, value: Description)] = []
        for (key, value) in mapping {
            let place = Description(key, file: file)
            pairs.append((place, try place.string("a key of \(subject)"), Description(value, file: file)))
        }
        return pairs
    }

    /// A mapping with known keys only.
    func fields(_ subject: String, known: [String]) throws(SpaceError) -> Fields {
        var values: [String: Description] = [:]
        for pair in try pairs(subject) {
            guard known.contains(pair.name) else {
                throw pair.key.error(
                    .unknown, "\(subject): unknown key '\(pair.name)'; known: \(known.joined(separator: ", ")).")
            }
            values[pair.name] = pair.value
        }
        return Fields(subject: subject, place: self, values: values)
    }

    /// The values of a mapping by key.
    struct Fields {
        let subject: String
        let place: Description
        let values: [String: Description]

        subscript(key: String) -> Description? { values[key] }

        func required(_ key: String) throws(SpaceError) -> Description {
            guard let value = values[key] else { throw place.error(.missing, "\(subject): needs '\(key)'") }
            return value
        }
    }
}
