import IR

extension BlockKind {
    /// The unit of ShuffleNetV2: half of the channels pass, the other half is filtered, and the halves are interleaved.
    ///
    /// With a stride both halves are filtered from all channels. The inner width is half of the block's.
    ///
    /// - Source: Ma et al., *ShuffleNet V2*, ECCV 2018, section 3.2; kernels 3, 5, 7 as choices: Guo et al., *Single
    ///   Path One-Shot*, ECCV 2020, section 4.
    static let shuffle = BlockKind(
        "shuffle", settings: [("kernel", nil), ("width", nil), ("stride", .integer(1))]
    ) { x, settings, g throws(ShapeError) in
        let kernel = settings["kernel"]
        return try shuffleUnit(x, settings, kernel: kernel, &g) { x, inner, outer, stride, g throws(ShapeError) in
            var y = try g.convolution(x, width: inner, kernel: 1, name: "reduce")
            y = try g.activation(g.batchNorm(y, name: "reduce_norm"), .relu)
            y = try g.depthwise(y, kernel: kernel, stride: stride, name: "depthwise")
            y = try g.batchNorm(y, name: "depthwise_norm")
            y = try g.convolution(y, width: outer, kernel: 1, name: "project")
            return try g.activation(g.batchNorm(y, name: "project_norm"), .relu)
        }
    }

    /// The same unit with three depthwise-pointwise pairs, after Xception.
    ///
    /// - Source: Guo et al., *Single Path One-Shot*, ECCV 2020, section 4 and released code.
    static let xception = BlockKind(
        "xception", settings: [("width", nil), ("stride", .integer(1))]
    ) { x, settings, g throws(ShapeError) in
        try shuffleUnit(x, settings, kernel: 3, &g) { x, inner, outer, stride, g throws(ShapeError) in
            var y = x
            for round in 1...3 {
                y = try g.depthwise(y, kernel: 3, stride: round == 1 ? stride : 1, name: "depthwise\(round)")
                y = try g.batchNorm(y, name: "depthwise\(round)_norm")
                y = try g.convolution(y, width: round == 3 ? outer : inner, kernel: 1, name: "pointwise\(round)")
                y = try g.activation(g.batchNorm(y, name: "pointwise\(round)_norm"), .relu)
            }
            return y
        }
    }

    private typealias Branch = (Feature, Width, Width, Int, inout NetworkBuilder) throws(ShapeError) -> Feature

    private static func shuffleUnit(
        _ x: Feature, _ settings: BlockSettings, kernel: Int, _ g: inout NetworkBuilder, _ branch: Branch
    ) throws(ShapeError) -> Feature {
        let (width, stride) = (settings.width, settings["stride"])
        let inner = Width(width.actual / 2, of: width.full / 2)
        guard stride > 1 || x.width != width else {
            let (passed, filtered) = try g.alternate(x)
            return try g.concatenate([passed, branch(filtered, inner, inner, 1, &g)])
        }
        // The filtered half fills up to the block's width, as the projected input keeps its own.
        var shortcut = try g.depthwise(x, kernel: kernel, stride: stride, name: "shortcut_depthwise")
        shortcut = try g.batchNorm(shortcut, name: "shortcut_depthwise_norm")
        shortcut = try g.convolution(shortcut, width: inner, kernel: 1, name: "shortcut")
        shortcut = try g.activation(g.batchNorm(shortcut, name: "shortcut_norm"), .relu)
        let rest = Width(width.actual - inner.actual, of: width.full - inner.full)
        return try g.concatenate([shortcut, branch(x, inner, rest, stride, &g)])
    }
}
