import IR

extension BlockKind {
    /// The inverted residual: expand by 1x1, filter each channel, perhaps reweigh channels, project by 1x1.
    ///
    /// Without expansion (1) the first convolution is left out. The input is added when stride and width allow.
    ///
    /// - Source: Sandler et al., *MobileNetV2*, CVPR 2018, section 3.2; squeeze-excite between filter and projection:
    ///   Howard et al., *Searching for MobileNetV3*, ICCV 2019, section 5.3.
    static let mbconv = BlockKind(
        "mbconv",
        settings: [
            ("kernel", nil), ("expansion", nil), ("width", nil), ("stride", .integer(1)),
            ("squeeze_excite", .integer(0)), ("activation", nil),
        ]
    ) { x, settings, g throws(ShapeError) in
        let (stride, expansion) = (settings["stride"], settings["expansion"])
        var y = x
        if expansion > 1 {
            let inner = Width(x.width.actual * expansion, of: x.width.full * expansion)
            y = try g.convolution(x, width: inner, kernel: 1, name: "expand")
            y = try g.activation(g.batchNorm(y, name: "expand_norm"), settings.activation)
        }
        y = try g.depthwise(y, kernel: settings["kernel"], stride: stride, name: "depthwise")
        y = try g.activation(g.batchNorm(y, name: "depthwise_norm"), settings.activation)
        let ratio = settings.real("squeeze_excite")
        if ratio > 0 { y = try g.squeezeExcite(y, ratio: ratio, name: "squeeze_excite") }
        y = try g.convolution(y, width: settings.width, kernel: 1, name: "project")
        y = try g.batchNorm(y, name: "project_norm")
        return stride == 1 && y.width.actual == x.width.actual ? try g.sum([x, y]) : y
    }

    /// The input itself: what is left of a residual block without its branch.
    static let skip = BlockKind("skip", preservesShape: true) { x, _, _ throws(ShapeError) in x }
}
