import IR

extension BlockKind {
    /// Two ReLU-convolution-norm triples around a shortcut, which averages and projects when the resolution is halved.
    ///
    /// - Source: Dong and Yang, *NAS-Bench-201*, ICLR 2020, section 2.1 and released code (the block between stages).
    static let residual = BlockKind("residual", settings: [("width", nil), ("stride", .integer(1))]) {
        x, settings, g throws(ShapeError) in
        let stride = settings["stride"]
        var y = try g.activation(x, .relu)
        y = try g.convolution(y, width: settings.width, kernel: 3, stride: stride, name: "conv1")
        y = try g.activation(g.batchNorm(y, name: "norm1"), .relu)
        y = try g.batchNorm(g.convolution(y, width: settings.width, kernel: 3, name: "conv2"), name: "norm2")
        var shortcut = x
        if stride > 1 { shortcut = try g.averagePool(x, kernel: stride, stride: stride) }
        if stride > 1 || x.width != settings.width {
            shortcut = try g.convolution(shortcut, width: settings.width, kernel: 1, name: "shortcut")
        }
        return try g.sum([shortcut, y])
    }
}
