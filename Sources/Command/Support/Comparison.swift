import Foundation
import IR

/// Compares tensors as ONNX's backend runner does: `|found - expected| ≤ absolute + relative · |expected|` for reals,
/// equality for everything else.
struct Comparison {
    var relative: Double
    var absolute: Double

    /// Where and by how much two tensors differ; `nil` when they agree.
    func difference(_ found: Literal, _ expected: Literal) -> String? {
        guard found.type == expected.type else { return "expected \(expected.type), found \(found.type)" }
        guard expected.element.isFloatingPoint else { return integerDifference(found, expected) }
        let f = found.reals, e = expected.reals
        // Two roundings of the stored type are never an error; neither is a residue of cancelled terms of normal size.
        let relative = max(self.relative, 2 * expected.element.epsilon)
        let largest = e.lazy.map(abs).filter(\.isFinite).max() ?? 0
        let absolute = max(self.absolute, largest * min(1e-2 * relative, relative))
        var worst: (index: Int, excess: Double)?
        var count = 0
        for index in e.indices {
            if f[index] == e[index] || (f[index].isNaN && e[index].isNaN) { continue }
            let excess = abs(f[index] - e[index]) - (absolute + relative * abs(e[index]))
            if excess <= 0 { continue }
            count += 1
            if worst.map({ !(excess <= $0.excess) }) ?? true { worst = (index, excess) }
        }
        guard let index = worst?.index else { return nil }
        let distance = abs(f[index] - e[index])
        return
            "\(count) of \(e.count) elements differ; worst at \(place(index, expected.shape)): expected \(e[index]), found \(f[index])"
            + String(
                format: " (absolute %.3g, relative %.3g, ", distance,
                distance / max(abs(e[index]), .leastNormalMagnitude))
            + "\(ulps(f[index], e[index], expected.element)) ULP)"
    }

    /// The largest difference of reals relative to the largest expected magnitude, as text; `nil` for other types.
    func deviation(_ found: Literal, _ expected: Literal) -> String? {
        guard expected.element.isFloatingPoint, found.type == expected.type else { return nil }
        let pairs = zip(found.reals, expected.reals).filter { $0.1.isFinite && $0.0.isFinite }
        let largest = pairs.reduce(0) { max($0, abs($1.1)) }
        let distance = pairs.reduce(0) { max($0, abs($1.0 - $1.1)) }
        return String(format: "%.2g of the largest value", distance / max(largest, .leastNormalMagnitude))
    }

    private func integerDifference(_ found: Literal, _ expected: Literal) -> String? {
        if found.bytes == expected.bytes { return nil }
        let f = found.integers, e = expected.integers
        let different = e.indices.filter { f[$0] != e[$0] }
        guard let index = different.first else { return nil }
        return
            "\(different.count) of \(e.count) elements differ; first at \(place(index, expected.shape)): expected \(e[index]), found \(f[index])"
    }

    private func place(_ index: Int, _ shape: [Int]) -> String {
        let position = zip(TensorType.strides(shape), shape).map { index / $0 % max($1, 1) }
        return "[\(position.map(String.init).joined(separator: ", "))]"
    }

    /// How many values of the type lie between two.
    private func ulps(_ a: Double, _ b: Double, _ element: ElementType) -> String {
        guard a.isFinite, b.isFinite else { return "no" }
        func order(_ value: Double) -> Int64 {
            let bits: Int64 =
                switch element {
                case .f64: Int64(bitPattern: value.bitPattern & ~(1 << 63))
                case .f16: Int64(Float(value).halfBits & 0x7fff)
                case .bf16: Int64(Float(value).bfloatBits & 0x7fff)
                default: Int64(Float(value).bitPattern & 0x7fff_ffff)
                }
            return value < 0 ? -bits : bits
        }
        let (distance, overflow) = order(a).subtractingReportingOverflow(order(b))
        return overflow ? "more than 9e18" : "\(distance.magnitude)"
    }
}

extension ElementType {
    /// The distance from one to the next value.
    fileprivate var epsilon: Double {
        switch self {
        case .f64: 0x1p-52
        case .f16: 0x1p-10
        case .bf16: 0x1p-7
        default: 0x1p-23
        }
    }
}
