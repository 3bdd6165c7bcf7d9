/// A value that a block is parameterised by: a width, a kernel size, an activation's name.
public enum SettingValue: Hashable, Sendable, CustomStringConvertible {
    case integer(Int)
    case real(Double)
    case word(String)

    public var description: String {
        switch self {
        case .integer(let value): "\(value)"
        case .real(let value): value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
        case .word(let value): value
        }
    }
}

/// An attribute of blocks and stages: its name means the same everywhere.
public struct SettingKey: Sendable {
    enum Domain: Sendable {
        case integers(ClosedRange<Int>, oddOnly: Bool = false)
        case reals(ClosedRange<Double>)
        case words([String])
    }

    public let name: String
    /// What stands before the value in a block's label: `k3`, `e6`.
    let abbreviation: String
    let domain: Domain

    /// The attributes of all blocks, in the order in which labels name them.
    static let all = [
        SettingKey(name: "kernel", abbreviation: "k", domain: .integers(1...31, oddOnly: true)),
        SettingKey(name: "expansion", abbreviation: "e", domain: .integers(1...16)),
        SettingKey(name: "width", abbreviation: "w", domain: .integers(1...16384)),
        SettingKey(name: "stride", abbreviation: "s", domain: .integers(1...8)),
        SettingKey(name: "dilation", abbreviation: "d", domain: .integers(1...16)),
        SettingKey(name: "groups", abbreviation: "g", domain: .integers(1...16384)),
        SettingKey(name: "squeeze_excite", abbreviation: "se", domain: .reals(0...1)),
        SettingKey(name: "rate", abbreviation: "p", domain: .reals(0...0.95)),
        SettingKey(name: "activation", abbreviation: "", domain: .words(Activation.allCases.map(\.rawValue))),
    ]

    static func named(_ name: String) -> SettingKey? { all.first { $0.name == name } }

    /// Reads a value of this attribute and checks its range.
    func read(_ text: Description, of subject: String) throws(SpaceError) -> SettingValue {
        let subject = "\(name) of \(subject)"
        switch domain {
        case .integers(let range, let oddOnly):
            let value = try text.integer(subject, in: range)
            if oddOnly, value.isMultiple(of: 2) {
                throw text.error(.value, "\(subject): expects an odd number, found \(value)")
            }
            return .integer(value)
        case .reals(let range): return .real(try text.real(subject, in: range))
        case .words(let words):
            let word = try text.string(subject)
            guard words.contains(word) else {
                throw text.error(
                    .unknown, "\(subject): unknown '\(word)'; known: \(words.joined(separator: ", ")).")
            }
            return .word(word)
        }
    }

    /// A list of values of this attribute, or a single one; a repeated value is an error.
    func readAlternatives(_ text: Description, of subject: String) throws(SpaceError) -> [SettingValue] {
        var values: [SettingValue] = []
        for item in try text.oneOrMore("\(name) of \(subject)") {
            let value = try read(item, of: subject)
            if values.contains(value) { throw item.error(.conflict, "\(name) of \(subject): \(value) is listed twice") }
            values.append(value)
        }
        return values
    }
}

/// The activation functions a space may name.
public enum Activation: String, CaseIterable, Hashable, Sendable {
    case none, relu, relu6
    case hardSwish = "hard_swish"
    case silu
}
