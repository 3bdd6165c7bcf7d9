import RealModule

/// A deterministic, splittable source of random numbers: the only one in the package.
///
/// Every draw comes from a generator that was passed in. A part of a program takes its own by name,
/// `source.fork("augmentation")`; a fork depends on the seed and the names alone, never on how much was drawn before,
/// so adding a draw in one place changes nothing elsewhere. The whole state is `Codable`, for checkpoints.
///
/// - Source: Blackman and Vigna, *Scrambled Linear Pseudorandom Number Generators*, ACM TOMS 47, 2021 (xoshiro256\*\*);
///   seeded by SplitMix64 (Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014).
public struct RandomSource: RandomNumberGenerator, Sendable, Hashable {
    /// What the generator was made from; forks derive from it.
    private var key: UInt64
    private var a: UInt64
    private var b: UInt64
    private var c: UInt64
    private var d: UInt64

    /// Starts the stream of a run's seed.
    public init(seed: UInt64) {
        self.init(key: Self.mix(seed &+ Self.increment))
    }

    private init(key: UInt64) {
        self.key = key
        var words = key
        func word() -> UInt64 {
            words &+= Self.increment
            return Self.mix(words)
        }
        // SplitMix64 is a bijection of its counter, so the four words are never all zero.
        (a, b, c, d) = (word(), word(), word(), word())
    }

    /// The independent stream of a named part, the same however much this one has been used.
    public func fork(_ name: String) -> RandomSource {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return RandomSource(key: Self.mix(key ^ Self.mix(hash &+ Self.increment)))
    }

    /// The independent stream of a numbered part: a step, an epoch, an image.
    public func fork(_ index: Int) -> RandomSource {
        RandomSource(key: Self.mix(key &+ Self.mix(UInt64(bitPattern: Int64(index)) ^ 0x6a09_e667_f3bc_c909)))
    }

    public mutating func next() -> UInt64 {
        let result = Self.rotate(b &* 5, 7) &* 9
        let shifted = b << 17
        c ^= a
        d ^= b
        b ^= c
        a ^= d
        c ^= shifted
        d = Self.rotate(d, 45)
        return result
    }

    private static let increment: UInt64 = 0x9e37_79b9_7f4a_7c15

    private static func rotate(_ x: UInt64, _ bits: UInt64) -> UInt64 { (x << bits) | (x >> (64 - bits)) }

    private static func mix(_ x: UInt64) -> UInt64 {
        var z = (x ^ (x >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// Stored as five hexadecimal words, so that a JSON reader with floating-point numbers cannot round them.
extension RandomSource: Codable {
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        let words = text.split(separator: " ").compactMap { UInt64($0, radix: 16) }
        guard words.count == 5, words[1...].contains(where: { $0 != 0 }) else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "random state: expects five hexadecimal words, found \"\(text)\""))
        }
        (key, a, b, c, d) = (words[0], words[1], words[2], words[3], words[4])
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode([key, a, b, c, d].map { String($0, radix: 16) }.joined(separator: " "))
    }
}

extension RandomSource {
    /// A number of `[0, 1)` with 53 random bits.
    public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A number of `[range.lowerBound, range.upperBound)`.
    public mutating func uniform(in range: Range<Double>) -> Double {
        range.lowerBound + (range.upperBound - range.lowerBound) * uniform()
    }

    /// A number of the open interval `(0, 1)`: safe to take the logarithm of.
    public mutating func uniformOpen() -> Double { (Double(next() >> 12) + 0.5) * 0x1p-52 }

    /// An integer of `0 ..< bound`, without bias.
    ///
    /// - Source: Lemire, *Fast Random Integer Generation in an Interval*, ACM TOMACS 29, 2019.
    public mutating func integer(below bound: Int) -> Int {
        precondition(bound > 0, "a random integer needs a positive bound")
        let range = UInt64(bound)
        var product = next().multipliedFullWidth(by: range)
        if product.low < range {
            let threshold = (0 &- range) % range
            while product.low < threshold { product = next().multipliedFullWidth(by: range) }
        }
        return Int(product.high)
    }

    /// True with the given probability.
    public mutating func bernoulli(_ probability: Double = 0.5) -> Bool { uniform() < probability }

    /// A normally distributed number.
    ///
    /// - Source: Marsaglia and Bray, *A Convenient Method for Generating Normal Variables*, SIAM Review 6, 1964. The
    ///   second number of each pair is dropped, so that the state needs no spare.
    public mutating func normal(mean: Double = 0, deviation: Double = 1) -> Double {
        while true {
            let u = 2 * uniform() - 1
            let v = 2 * uniform() - 1
            let s = u * u + v * v
            if s > 0, s < 1 { return mean + deviation * u * (-2 * Double.log(s) / s).squareRoot() }
        }
    }

    /// Gumbel noise `-log(-log u)`.
    public mutating func gumbel() -> Double { -Double.log(-Double.log(uniformOpen())) }

    /// A gamma-distributed number of unit scale.
    ///
    /// - Source: Marsaglia and Tsang, *A Simple Method for Generating Gamma Variables*, ACM TOMS 26, 2000.
    public mutating func gamma(shape: Double) -> Double {
        precondition(shape > 0, "a gamma distribution needs a positive shape")
        if shape < 1 { return gamma(shape: shape + 1) * Double.exp(Double.log(uniformOpen()) / shape) }
        let d = shape - 1.0 / 3
        let c = 1 / (9 * d).squareRoot()
        while true {
            let x = normal()
            let root = 1 + c * x
            guard root > 0 else { continue }
            let v = root * root * root
            if Double.log(uniformOpen()) < 0.5 * x * x + d - d * v + d * Double.log(v) { return d * v }
        }
    }

    /// A number of `[0, 1]` with the Beta distribution, as mixup draws it.
    public mutating func beta(_ alpha: Double, _ beta: Double) -> Double {
        let x = gamma(shape: alpha)
        let y = gamma(shape: beta)
        // Tiny shapes can underflow both to zero; the limit of the distribution is then a coin flip.
        return x + y > 0 ? x / (x + y) : (bernoulli(alpha / (alpha + beta)) ? 1 : 0)
    }

    /// An index drawn with probability proportional to its weight; weights are non-negative and not all zero.
    public mutating func categorical(_ weights: [Double]) -> Int {
        let total = weights.reduce(0, +)
        precondition(total > 0 && total.isFinite, "a categorical draw needs a positive, finite sum of weights")
        var remaining = uniform() * total
        var last = 0
        for (index, weight) in weights.enumerated() where weight > 0 {
            if remaining < weight { return index }
            remaining -= weight
            last = index
        }
        return last  // rounding of the sum left a sliver past the end
    }

    /// A uniformly drawn element.
    public mutating func element<T>(of elements: [T]) -> T { elements[integer(below: elements.count)] }

    /// A uniformly drawn order of `0 ..< count`.
    public mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        shuffle(&order)
        return order
    }

    /// Puts the elements in a uniformly drawn order (Fisher-Yates).
    public mutating func shuffle<T>(_ elements: inout [T]) {
        guard elements.count > 1 else { return }
        for i in stride(from: elements.count - 1, to: 0, by: -1) { elements.swapAt(i, integer(below: i + 1)) }
    }
}
