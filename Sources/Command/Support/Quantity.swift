import ArgumentParser

/// A number with a unit, as people write limits.
struct Quantity<Unit: QuantityUnit>: ExpressibleByArgument {
    /// In the base unit: seconds, bytes, operations.
    var value: Double

    init?(argument: String) {
        let digits = argument.prefix { $0.isNumber || $0 == "." }
        let suffix = argument.dropFirst(digits.count).drop { $0 == " " }
        guard let number = Double(digits), number > 0, let scale = Unit.scales[String(suffix)] else { return nil }
        value = number * scale
    }

    static var allValueStrings: [String] { [] }
}

/// The suffixes that a kind of quantity takes, with what each stands for.
protocol QuantityUnit {
    static var scales: [String: Double] { get }
}

enum TimeUnit: QuantityUnit { static let scales = ["s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9] }

enum ByteUnit: QuantityUnit {
    static let scales = [
        "": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1024, "MiB": 1_048_576, "GiB": 1_073_741_824,
    ]
}

enum CountUnit: QuantityUnit { static let scales = ["": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9] }
