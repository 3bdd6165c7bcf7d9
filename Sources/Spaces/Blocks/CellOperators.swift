import IR

/// The operators on the edges of cells. Convolutions are ReLU, convolution, batch norm.
///
/// - Source: Dong and Yang, *NAS-Bench-201*, ICLR 2020, section 2.1 and released code.
extension BlockKind {
    private static func cellOperator(_ keyword: String, _ build: @escaping Build) -> BlockKind {
        BlockKind(
            keyword, settings: [("stride", .integer(1))], preservesShape: true, isCellOperator: true, build: build)
    }

    static let cellNone = cellOperator("none") { _, _, _ throws(ShapeError) in nil }

    /// The input itself, or a factorised reduction where the resolution is halved.
    static let cellSkip = cellOperator("skip_connect") { x, settings, g throws(ShapeError) in
        settings["stride"] == 1 ? x : try g.factorisedReduction(x, width: x.width, name: "reduce")
    }

    static let cellConvolution1x1 = convolution("nor_conv_1x1", kernel: 1)
    static let cellConvolution3x3 = convolution("nor_conv_3x3", kernel: 3)

    private static func convolution(_ keyword: String, kernel: Int) -> BlockKind {
        cellOperator(keyword) { x, settings, g throws(ShapeError) in
            let y = try g.convolution(
                g.activation(x, .relu), width: x.width, kernel: kernel, stride: settings["stride"], name: "conv")
            return try g.batchNorm(y, name: "norm")
        }
    }

    /// Padding is not counted in the mean.
    static let cellAveragePool3x3 = cellOperator("avg_pool_3x3") { x, settings, g throws(ShapeError) in
        try g.normalisedPool(g.averagePool(x, kernel: 3, stride: settings["stride"], isPadded: true))
    }

    static let cellMaxPool3x3 = cellOperator("max_pool_3x3") { x, settings, g throws(ShapeError) in
        try g.normalisedPool(g.maxPool(x, kernel: 3, stride: settings["stride"]))
    }
}

/// The separable and dilated convolutions of DARTS.
///
/// - Source: Liu et al., *DARTS*, ICLR 2019, section 3.1 and released code.
extension BlockKind {
    static let cellSeparable3x3 = separable("sep_conv_3x3", kernel: 3)
    static let cellSeparable5x5 = separable("sep_conv_5x5", kernel: 5)
    static let cellSeparable7x7 = separable("sep_conv_7x7", kernel: 7)
    static let cellDilated3x3 = dilated("dil_conv_3x3", kernel: 3)
    static let cellDilated5x5 = dilated("dil_conv_5x5", kernel: 5)

    /// Two rounds of ReLU, depthwise, pointwise, norm; the first one takes the stride.
    private static func separable(_ keyword: String, kernel: Int) -> BlockKind {
        cellOperator(keyword) { x, settings, g throws(ShapeError) in
            let first = try g.separableRound(x, kernel: kernel, stride: settings["stride"], round: 1)
            return try g.separableRound(first, kernel: kernel, stride: 1, round: 2)
        }
    }

    /// One round, its depthwise filter spread to every other pixel.
    private static func dilated(_ keyword: String, kernel: Int) -> BlockKind {
        cellOperator(keyword) { x, settings, g throws(ShapeError) in
            try g.separableRound(x, kernel: kernel, stride: settings["stride"], dilation: 2, round: 1)
        }
    }
}

extension NetworkBuilder {
    fileprivate mutating func separableRound(
        _ x: Feature, kernel: Int, stride: Int, dilation: Int = 1, round: Int
    ) throws(ShapeError) -> Feature {
        var y = try activation(x, .relu)
        y = try depthwise(y, kernel: kernel, stride: stride, dilation: dilation, name: "depthwise\(round)")
        y = try convolution(y, width: x.width, kernel: 1, name: "pointwise\(round)")
        return try batchNorm(y, name: "norm\(round)")
    }

    /// Half of the channels from the even pixels, half from the odd ones, at half the resolution.
    mutating func factorisedReduction(_ x: Feature, width: Width, name: String) throws(ShapeError) -> Feature {
        try scoped(name) { g throws(ShapeError) in
            let active = try g.activation(x, .relu)
            let first = Width(width.actual / 2, of: width.full / 2)
            let second = Width(width.actual - first.actual, of: width.full - first.full)
            let even = try g.convolution(active, width: first, kernel: 1, stride: 2, name: "even")
            let odd = try g.oddPixels(active, width: second, name: "odd")
            return try g.batchNorm(g.concatenate([even, odd]), name: "norm")
        }
    }

    /// What a relaxed choice mixes should be alike in size, so pools are normalised in supernets.
    fileprivate mutating func normalisedPool(_ x: Feature) throws(ShapeError) -> Feature {
        normalisesPools && !isAffine ? try batchNorm(x, name: "norm") : x
    }
}
