import Spaces

/// An upper limit on one cost of an architecture.
public struct Constraint: Sendable {
    /// How a cost is written for people.
    public enum Unit: String, Codable, Hashable, Sendable {
        case milliseconds, bytes, macs, count

        /// The value with a unit of readable size: `1.94 ms`, `256 KiB`, `30.1 M`.
        public func text(_ value: Double) -> String {
            switch self {
            case .milliseconds: return value < 0.1 ? "\(decimal(value * 1000, 1)) us" : "\(decimal(value, 3)) ms"
            case .bytes:
                if value < 1024 { return "\(Int(value)) B" }
                return value < 1024 * 1024
                    ? "\(decimal(value / 1024, 1)) KiB" : "\(decimal(value / 1024 / 1024, 2)) MiB"
            case .macs, .count:
                if value < 1e4 { return "\(Int(value.rounded()))" }
                return value < 1e6 ? "\(decimal(value / 1e3, 1)) k" : "\(decimal(value / 1e6, 2)) M"
            }
        }
    }

    /// The name of the cost, as on the command line: `latency`, `peak-memory`, `flash`, `macs`.
    public let name: String
    public let unit: Unit
    public let limit: Double
    /// How expensive it is to ask, in any unit that compares with other constraints'.
    public let price: Int
    private let cost: @Sendable (Architecture) throws -> Double

    public init(
        _ name: String, atMost limit: Double, _ unit: Unit, price: Int,
        cost: @escaping @Sendable (Architecture) throws -> Double
    ) {
        (self.name, self.limit, self.unit, self.price, self.cost) = (name, limit, unit, price, cost)
    }

    public func cost(of architecture: Architecture) throws -> Double { try cost(architecture) }
}

/// Constraints that must all hold; the cheap ones are asked first, and the first that breaks ends the asking.
public struct Constraints: Sendable {
    /// In the order in which they are asked: by price, then as given.
    public let all: [Constraint]

    public init(_ constraints: [Constraint]) {
        all = constraints.enumerated().sorted { ($0.element.price, $0.offset) < ($1.element.price, $1.offset) }.map(
            \.element)
    }

    public enum Verdict: Hashable, Sendable {
        /// Every limit is met; the costs are in the order of ``Constraints/all``.
        case legal([Double])
        case breaks(Int, cost: Double)
    }

    public func verdict(_ architecture: Architecture) throws -> Verdict {
        var costs: [Double] = []
        for (index, constraint) in all.enumerated() {
            let cost = try constraint.cost(of: architecture)
            // Written so that a cost that is not a number breaks the limit.
            guard cost <= constraint.limit else { return .breaks(index, cost: cost) }
            costs.append(cost)
        }
        return .legal(costs)
    }

    public func allow(_ architecture: Architecture) throws -> Bool {
        if case .legal = try verdict(architecture) { return true }
        return false
    }
}

/// `value` with the given number of decimals, without going through Foundation.
func decimal(_ value: Double, _ places: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : (value < 0 ? "-inf" : "inf") }
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (abs(value) * scale).rounded()
    guard scaled < 9e15 else { return "\(value)" }
    var digits = String(Int64(scaled))
    if places > 0 {
        while digits.count <= places { digits = "0" + digits }
        digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -places))
    }
    return value < 0 && scaled > 0 ? "-" + digits : digits
}
