import CKernels
import IR

/// Zeroes whole examples at random and scales the rest by `1 / (1 - r)`, where `r` is the rate times how far training has
/// come; the draw is a pure function of key and site.
///
/// - Shapes: `x: [n, ...], key: u32 [2], progress: [] → y: [same as x]`.
/// - Source: Larsson et al., *FractalNet*, ICLR 2017; linear rise: Zoph et al., *Learning Transferable Architectures for
///   Scalable Image Recognition*, CVPR 2018, section 4.
public struct DropPath: Operator {
    public static let mnemonic = "drop_path"
    /// The rate at the end of training, where progress is 1.
    public var rate = 0.2
    /// Distinguishes the draws of different places that share a key.
    public var site = 0

    public init() {}
    public init(rate: Double, site: Int) {
        self.rate = rate
        self.site = site
    }

    public var isTrainingOnly: Bool { true }
    public var layoutRule: LayoutRule { .elementwise }
    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [0] }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(3, for: self)
        guard x[0].rank > 0, x[1] == TensorType(.u32, [2]), x[2].shape == [], rate >= 0, rate < 1 else {
            throw ShapeError(
                "drop_path expects a batch of examples, a key u32[2], a progress [] and a rate in [0, 1), found \(x[0]), "
                    + "\(x[1]), \(x[2]) and \(rate)")
        }
        return [try x[0].requireFloat(for: self)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let key = x[1].integers.map { UInt32(truncatingIfNeeded: $0) }
        // In the kernel's precision, so that the same examples are dropped.
        let rate = Float(self.rate) * Float(x[2].reals[0])
        let threshold = UInt32(min(Double(rate) * 0x1p32, 0x1p32 - 1)), scale = R(1 / (1 - rate))
        let size = max(1, y[0].count / max(1, y[0].shape[0]))
        let values = x[0].reals.enumerated().map { i, value in
            let example = i / size
            let words = Philox.block(
                counter: (UInt32(truncatingIfNeeded: example / 4), UInt32(truncatingIfNeeded: site), 1, 0),
                key: (key[0], key[1]))
            return words[example % 4] < threshold ? 0 : value * scale
        }
        return [ReferenceTensor(y[0], values)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil, nil, nil] }
        return [try g.append(self, dy, p.operands[1], p.operands[2]), nil, nil]
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard x[0].element == .f32, x[2].element == .f32, x[0].shape[0] > 0 else { return nil }
        // Padded channels belong to their example as well.
        let size = x[0].storedCount / x[0].shape[0]
        return KernelCall(martlet_drop_path, integers: [x[0].shape[0], size, site], reals: [rate])
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static let specimens = [
        Specimen(
            DropPath(rate: 0.6, site: 7),
            operands: [
                .uniform(.f32(9, 3, 5), -2...2), .literal(Literal(.u32, [2], integers: [12, 34])),
                .literal(Literal(.f32, [], reals: [0.75])),
            ])
    ]
}
