/// The value of an operator's attribute, as the text form of graphs writes it.
public indirect enum AttributeValue: Hashable, Sendable {
    case bool(Bool)
    case integer(Int)
    case real(Double)
    case string(String)
    case list([AttributeValue])
    case record([Attribute])
    case none
}

/// A named attribute.
public struct Attribute: Hashable, Sendable {
    public var name: String
    public var value: AttributeValue

    public init(_ name: String, _ value: AttributeValue) {
        self.name = name
        self.value = value
    }
}

extension AttributeValue: CustomStringConvertible {
    public var description: String {
        switch self {
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .real(let value): value.isNaN ? "nan" : value.isInfinite ? (value < 0 ? "-inf" : "inf") : "\(value)"
        case .string(let value): Self.quote(value)
        case .list(let values): "[\(values.map(\.description).joined(separator: ", "))]"
        case .record(let fields): "{\(fields.map(\.description).joined(separator: ", "))}"
        case .none: "none"
        }
    }

    /// A string in double quotes with `"`, `\` and control characters escaped.
    public static func quote(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case let s where s.value < 32 || s.value == 127: quoted += "\\u{\(String(s.value, radix: 16))}"
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension Attribute: CustomStringConvertible {
    public var description: String { "\(name) = \(value)" }
}

/// Attributes that a declaration does not have, or has with another type.
public struct AttributeError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String

    public init(_ description: String) { self.description = description }
}
