import CKernels
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

    public var layoutRule: LayoutRule { .following }
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
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard x[0].isDense, x[0].layout == y[0].layout else { return nil }
        // Written as its split form: dimensions before the channels, groups and members of a group, dimensions behind.
        let (n, c, area) = (x[0].shape[0], x[0].shape[1], x[0].shape[2] * x[0].shape[3]), members = c / groups
        let (outer, inner) = x[0].layout == .plain ? (n, area) : (n * area, 1)
        return KernelCall(
            martlet_copy,
            integers: [x[0].element.size, 4, 0, 0, outer, members, groups, inner]
                + [c * inner, inner, members * inner, 1] + [c * inner, groups * inner, inner, 1])
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static let specimens = [Specimen(ChannelShuffle(groups: 2), on: .f32(2, 6, 2, 3))]
}
