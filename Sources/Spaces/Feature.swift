import IR

/// A number of channels, and the number its parameters are made for: more where a width is a choice.
struct Width: Hashable, Sendable {
    var actual: Int
    var full: Int

    init(_ actual: Int, of full: Int) { (self.actual, self.full) = (actual, full) }
}

/// An image or vector on its way through a network.
struct Feature {
    var value: Value
    var width: Width
}

/// The settings of a block as built: its own, then its stage's, the space's and the kind's defaults.
struct BlockSettings {
    let values: [String: SettingValue]
    let width: Width

    /// An integer setting; reading the description made sure that it is there.
    subscript(key: String) -> Int {
        if case .integer(let value)? = values[key] { return value }
        preconditionFailure("a block asked for the setting '\(key)', which its kind does not list")
    }

    func real(_ key: String) -> Double {
        switch values[key] {
        case .real(let value): return value
        case .integer(let value): return Double(value)
        default: preconditionFailure("a block asked for the setting '\(key)', which its kind does not list")
        }
    }

    var activation: Activation {
        if case .word(let word)? = values["activation"], let activation = Activation(rawValue: word) {
            return activation
        }
        preconditionFailure("a block asked for an activation, which its kind does not list")
    }
}
