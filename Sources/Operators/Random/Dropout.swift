import CKernels
import IR

/// Zeroes elements at random and scales the rest by `1 / (1 - rate)`; the draw is a pure function of key and site.
///
/// - Shapes: `x: [any], key: u32 [2] → y: [same as x]`.
/// - Source: Srivastava et al., *Dropout*, JMLR 2014.
public struct Dropout: Operator {
    public static let mnemonic = "dropout"
    public var rate = 0.5
    /// Distinguishes the draws of different places that share a key.
    public var site = 0

    public init() {}
    public init(rate: Double, site: Int) {
        self.rate = rate
        self.site = site
    }

    public var isTrainingOnly: Bool { true }
    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [0] }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self)
        guard x[1] == TensorType(.u32, [2]), rate >= 0, rate < 1 else {
            throw ShapeError("dropout expects a key u32[2] and a rate in [0, 1), found \(x[1]) and \(rate)")
        }
        return [try x[0].requireFloat(for: self)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let key = x[1].integers.map { UInt32(truncatingIfNeeded: $0) }
        let threshold = UInt32(min(rate * 0x1p32, 0x1p32 - 1)), scale = R(Float(1 / (1 - rate)))
        let values = x[0].reals.enumerated().map { i, value in
            let words = Philox.block(
                counter: (UInt32(truncatingIfNeeded: i / 4), UInt32(truncatingIfNeeded: site), 0, 0),
                key: (key[0], key[1]))
            return words[i % 4] < threshold ? 0 : value * scale
        }
        return [ReferenceTensor(y[0], values)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil, nil] }
        return [try g.append(self, dy, p.operands[1]), nil]
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard x[0].isKernelArray else { return nil }
        return KernelCall(martlet_dropout, integers: [x[0].count, site], reals: [rate])
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static let specimens = [
        Specimen(
            Dropout(rate: 0.3, site: 7),
            operands: [.uniform(.f32(3, 5), -2...2), .literal(Literal(.u32, [2], integers: [12, 34]))])
    ]
}

/// Philox4x32-10: four random words for a counter and a key.
///
/// - Source: Salmon et al., *Parallel Random Numbers: As Easy as 1, 2, 3*, SC 2011, section 3.3.
public enum Philox {
    public static func block(counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)) -> [UInt32] {
        var (c0, c1, c2, c3) = counter
        var (k0, k1) = key
        for _ in 0..<10 {
            let a = UInt64(0xD251_1F53) * UInt64(c0), b = UInt64(0xCD9E_8D57) * UInt64(c2)
            (c0, c1, c2, c3) = (
                UInt32(truncatingIfNeeded: b >> 32) ^ c1 ^ k0, UInt32(truncatingIfNeeded: b),
                UInt32(truncatingIfNeeded: a >> 32) ^ c3 ^ k1, UInt32(truncatingIfNeeded: a)
            )
            k0 = k0 &+ 0x9E37_79B9
            k1 = k1 &+ 0xBB67_AE85
        }
        return [c0, c1, c2, c3]
    }
}
