import IR
import RealModule

/// `f(z) = b' tanh(W z) + c0` on corners and interior, with the exact gradient of its expectation by enumeration.
public struct CategoricalToy {
    public let n = 4
    public let w: [[Double]]
    public let b: [Double]
    public let c0: Double
    public let logits: [Double]

    public init(seed: UInt64, offset: Double) {
        var random = RandomSource(seed: seed)
        w = (0..<4).map { _ in (0..<4).map { _ in random.normal() } }
        b = (0..<4).map { _ in random.normal() }
        logits = (0..<4).map { _ in 0.5 * random.normal() }
        c0 = offset
    }
    public func value(_ z: [Double]) -> Double {
        zip(w, b).reduce(c0) { sum, row in sum + row.1 * Double.tanh(zip(row.0, z).reduce(0) { $0 + $1.0 * $1.1 }) }
    }
    public func gradient(_ z: [Double]) -> [Double] {
        var result = [Double](repeating: 0, count: n)
        for (row, weight) in zip(w, b) {
            let t = Double.tanh(zip(row, z).reduce(0) { $0 + $1.0 * $1.1 })
            for i in 0..<n { result[i] += weight * (1 - t * t) * row[i] }
        }
        return result
    }
    public func corner(_ i: Int) -> [Double] { (0..<n).map { $0 == i ? 1 : 0 } }
    public var exact: [Double] { Categorical(logits: logits).pullback((0..<n).map { value(corner($0)) }) }
}

/// Mean and variance of a stream of vectors.
public struct Moments {
    public private(set) var count = 0.0, sum = [0.0, 0, 0, 0], squares = [0.0, 0, 0, 0]

    public init() {}

    public mutating func add(_ x: [Double]) {
        count += 1
        for i in 0..<4 {
            sum[i] += x[i]
            squares[i] += x[i] * x[i]
        }
    }
    public var mean: [Double] { sum.map { $0 / count } }
    public var variances: [Double] { (0..<4).map { squares[$0] / count - mean[$0] * mean[$0] } }
    public func zScores(_ exact: [Double]) -> [Double] {
        (0..<4).map { abs(mean[$0] - exact[$0]) / (variances[$0] / count).squareRoot() }
    }
}
