import IR

/// Interleaves groups of channels: channel `g · n + i` moves to `i · groups + g`.
///
/// - Shapes: `x: [N, C, H, W] → y: [same]`, C a multiple of groups.
/// - Source: Zhang et al., *ShuffleNet*, CVPR 2018, section 3.1.
public struct ChannelShuffle: Operator {
    public static let mnemonic = "channel_shuffle"
    public var groups = 2

    public init() {}
    public init(groups: Int) { self.groups = groups }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self).require(rank: 4, for: self)
        guard groups > 0, x.shape[1] % groups == 0 else {
            throw ShapeError("channel_shuffle: \(x.shape[1]) channels do not divide into \(groups) groups")
        }
        return [x]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let shape = g.type(of: x[0]).shape
        let split = try g.append(Reshape([shape[0], groups, shape[1] / groups, shape[2], shape[3]]), x[0])
        return [try g.append(Reshape(shape), g.append(Transpose([0, 2, 1, 3, 4]), split))]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        return [try g.append(ChannelShuffle(groups: g.type(of: dy).shape[1] / groups), dy)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static let specimens = [Specimen(ChannelShuffle(groups: 2), on: .f32(2, 6, 2, 3))]
}
