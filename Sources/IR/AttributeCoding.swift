/// Turns the stored properties of an operator into attributes, and back.
///
/// Text form, equality and files all derive from the declaration of the operator through this coder.
public enum AttributeCoder {
    /// The stored properties of `value`, in order of declaration.
    public static func attributes(of value: some Encodable) throws -> [Attribute] {
        let node = EncodingNode()
        try value.encode(to: AttributeEncoder(node: node, codingPath: []))
        guard case .record(let fields) = node.value ?? .record([]) else {
            throw AttributeError("\(type(of: value)) does not encode as a record")
        }
        return fields
    }

    /// A value of the given type whose properties are `attributes`, and `defaults` where one is not named.
    ///
    /// - Throws: ``AttributeError`` for an unknown name (listing the known ones) or a wrong type.
    public static func decode<T: Codable>(_ type: T.Type, from attributes: [Attribute], defaults: T) throws -> T {
        var fields = try self.attributes(of: defaults)
        for attribute in attributes {
            guard let index = fields.firstIndex(where: { $0.name == attribute.name }) else {
                let known = fields.isEmpty ? "there are none" : "known: " + fields.map(\.name).joined(separator: ", ")
                throw AttributeError("unknown attribute '\(attribute.name)'; \(known)")
            }
            fields[index] = attribute
        }
        do {
            return try T(from: AttributeDecoder(value: .record(fields), codingPath: []))
        } catch let error as DecodingError {
            switch error {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context),
                .keyNotFound(_, let context):
                let path = context.codingPath.map(\.stringValue).joined(separator: ".")
                throw AttributeError("attribute '\(path)': \(context.debugDescription)")
            @unknown default:
                throw AttributeError("\(error)")
            }
        }
    }
}

/// A slot that an encoder fills; lists and records grow in place.
private final class EncodingNode {
    var scalar: AttributeValue?
    var items: [EncodingNode]?
    var fields: [(String, EncodingNode)]?

    var value: AttributeValue? {
        if let items { return .list(items.map { $0.value ?? .none }) }
        if let fields { return .record(fields.map { Attribute($0.0, $0.1.value ?? .none) }) }
        return scalar
    }
}

private struct AttributeEncoder: Encoder {
    let node: EncodingNode
    var codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if node.fields == nil { node.fields = [] }
        return KeyedEncodingContainer(Keyed<Key>(node: node, codingPath: codingPath))
    }
    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if node.items == nil { node.items = [] }
        return Unkeyed(node: node, codingPath: codingPath)
    }
    func singleValueContainer() -> any SingleValueEncodingContainer { Single(node: node, codingPath: codingPath) }

    static func fill(_ node: EncodingNode, _ value: some Encodable, _ path: [any CodingKey]) throws {
        switch value {
        case let value as Bool: node.scalar = .bool(value)
        case let value as String: node.scalar = .string(value)
        case let value as Double: node.scalar = .real(value)
        case let value as Float: node.scalar = .real(Double(value))
        case let value as any FixedWidthInteger:
            guard let integer = Int(exactly: value) else {
                throw AttributeError("\(value) does not fit an integer attribute")
            }
            node.scalar = .integer(integer)
        default: try value.encode(to: AttributeEncoder(node: node, codingPath: path))
        }
    }

    struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
        let node: EncodingNode
        var codingPath: [any CodingKey]

        func child(_ key: any CodingKey) -> EncodingNode {
            let child = EncodingNode()
            node.fields?.append((key.stringValue, child))
            return child
        }
        mutating func encodeNil(forKey key: Key) throws { child(key).scalar = AttributeValue.none }
        mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
            try fill(child(key), value, codingPath + [key])
        }
        // Optionals are written even when nil, so that every declared name is known when attributes are read.
        mutating func encodeIfPresent(_ value: Bool?, forKey key: Key) throws { try optional(value, key) }
        mutating func encodeIfPresent(_ value: String?, forKey key: Key) throws { try optional(value, key) }
        mutating func encodeIfPresent(_ value: Double?, forKey key: Key) throws { try optional(value, key) }
        mutating func encodeIfPresent(_ value: Float?, forKey key: Key) throws { try optional(value, key) }
        mutating func encodeIfPresent(_ value: Int?, forKey key: Key) throws { try optional(value, key) }
        mutating func encodeIfPresent<T: Encodable>(_ value: T?, forKey key: Key) throws { try optional(value, key) }
        private mutating func optional<T: Encodable>(_ value: T?, _ key: Key) throws {
            if let value { try encode(value, forKey: key) } else { try encodeNil(forKey: key) }
        }
        mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key)
            -> KeyedEncodingContainer<Nested>
        { AttributeEncoder(node: child(key), codingPath: codingPath + [key]).container(keyedBy: type) }
        mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
            AttributeEncoder(node: child(key), codingPath: codingPath + [key]).unkeyedContainer()
        }
        mutating func superEncoder() -> any Encoder { AttributeEncoder(node: node, codingPath: codingPath) }
        mutating func superEncoder(forKey key: Key) -> any Encoder {
            AttributeEncoder(node: child(key), codingPath: codingPath + [key])
        }
    }

    struct Unkeyed: UnkeyedEncodingContainer {
        let node: EncodingNode
        var codingPath: [any CodingKey]
        var count: Int { node.items?.count ?? 0 }

        func child() -> EncodingNode {
            let child = EncodingNode()
            node.items?.append(child)
            return child
        }
        mutating func encodeNil() throws { child().scalar = AttributeValue.none }
        mutating func encode<T: Encodable>(_ value: T) throws { try fill(child(), value, codingPath) }
        mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
            AttributeEncoder(node: child(), codingPath: codingPath).container(keyedBy: type)
        }
        mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
            AttributeEncoder(node: child(), codingPath: codingPath).unkeyedContainer()
        }
        mutating func superEncoder() -> any Encoder { AttributeEncoder(node: child(), codingPath: codingPath) }
    }

    struct Single: SingleValueEncodingContainer {
        let node: EncodingNode
        var codingPath: [any CodingKey]

        mutating func encodeNil() throws { node.scalar = AttributeValue.none }
        mutating func encode<T: Encodable>(_ value: T) throws { try fill(node, value, codingPath) }
    }
}

private struct AttributeDecoder: Decoder {
    let value: AttributeValue
    var codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .record(let fields) = value else { throw mismatch("a record") }
        return KeyedDecodingContainer(Keyed<Key>(fields: fields, codingPath: codingPath))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .list(let items) = value else { throw mismatch("a list") }
        return Unkeyed(items: items, codingPath: codingPath)
    }
    func singleValueContainer() -> any SingleValueDecodingContainer { Single(value: value, codingPath: codingPath) }

    func mismatch(_ expected: String) -> DecodingError {
        .typeMismatch(
            AttributeValue.self, .init(codingPath: codingPath, debugDescription: "expected \(expected), found \(value)")
        )
    }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        switch type {
        case is Bool.Type:
            guard case .bool(let value) = value, let result = value as? T else { throw mismatch("true or false") }
            return result
        case is String.Type:
            guard case .string(let value) = value, let result = value as? T else { throw mismatch("a string") }
            return result
        case is Double.Type, is Float.Type:
            let real: Double
            switch value {
            case .real(let value): real = value
            case .integer(let value): real = Double(value)
            default: throw mismatch("a number")
            }
            guard let result = (T.self == Float.self ? Float(real) as? T : real as? T) else {
                throw mismatch("a number")
            }
            return result
        case let integer as any FixedWidthInteger.Type:
            guard case .integer(let value) = value, let exact = Self.integer(integer, value), let result = exact as? T
            else {
                throw mismatch("an integer")
            }
            return result
        default: return try T(from: self)
        }
    }

    private static func integer<I: FixedWidthInteger>(_ type: I.Type, _ value: Int) -> I? { I(exactly: value) }

    struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
        let fields: [Attribute]
        var codingPath: [any CodingKey]
        var allKeys: [Key] { fields.compactMap { Key(stringValue: $0.name) } }

        func contains(_ key: Key) -> Bool { fields.contains { $0.name == key.stringValue } }
        func decoder(_ key: any CodingKey) throws -> AttributeDecoder {
            guard let field = fields.first(where: { $0.name == key.stringValue }) else {
                throw DecodingError.keyNotFound(
                    key, .init(codingPath: codingPath + [key], debugDescription: "is missing"))
            }
            return AttributeDecoder(value: field.value, codingPath: codingPath + [key])
        }
        func decodeNil(forKey key: Key) throws -> Bool { try decoder(key).value == .none }
        func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try decoder(key).decode(type) }
        func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws
            -> KeyedDecodingContainer<Nested>
        { try decoder(key).container(keyedBy: type) }
        func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
            try decoder(key).unkeyedContainer()
        }
        func superDecoder() throws -> any Decoder { AttributeDecoder(value: .record(fields), codingPath: codingPath) }
        func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }
    }

    struct Unkeyed: UnkeyedDecodingContainer {
        let items: [AttributeValue]
        var codingPath: [any CodingKey]
        var currentIndex = 0
        var count: Int? { items.count }
        var isAtEnd: Bool { currentIndex >= items.count }

        init(items: [AttributeValue], codingPath: [any CodingKey]) {
            self.items = items
            self.codingPath = codingPath
        }
        mutating func next() throws -> AttributeDecoder {
            guard !isAtEnd else {
                throw DecodingError.dataCorrupted(
                    .init(codingPath: codingPath, debugDescription: "the list is too short"))
            }
            defer { currentIndex += 1 }
            return AttributeDecoder(value: items[currentIndex], codingPath: codingPath)
        }
        mutating func decodeNil() throws -> Bool {
            guard !isAtEnd, items[currentIndex] == .none else { return false }
            currentIndex += 1
            return true
        }
        mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try next().decode(type) }
        mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws
            -> KeyedDecodingContainer<Nested>
        { try next().container(keyedBy: type) }
        mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try next().unkeyedContainer() }
        mutating func superDecoder() throws -> any Decoder { try next() }
    }

    struct Single: SingleValueDecodingContainer {
        let value: AttributeValue
        var codingPath: [any CodingKey]

        func decodeNil() -> Bool { value == .none }
        func decode<T: Decodable>(_ type: T.Type) throws -> T {
            try AttributeDecoder(value: value, codingPath: codingPath).decode(type)
        }
    }
}
