import IR

extension BlockKind {
    /// Convolution, batch norm, activation.
    static let convolution = BlockKind(
        "conv",
        settings: [
            ("kernel", nil), ("width", nil), ("stride", .integer(1)), ("groups", .integer(1)), ("activation", nil),
        ]
    ) { x, settings, g throws(ShapeError) in
        let y = try g.convolution(
            x, width: settings.width, kernel: settings["kernel"], stride: settings["stride"],
            groups: settings["groups"], name: "conv")
        return try g.activation(g.batchNorm(y, name: "norm"), settings.activation)
    }
}
