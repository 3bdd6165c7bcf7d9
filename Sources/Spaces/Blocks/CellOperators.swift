import IR

/// The five operators of NAS-Bench-201. Convolutions are ReLU, convolution, batch norm.
///
/// - Source: Dong and Yang, *NAS-Bench-201*, ICLR 2020, section 2.1 and released code.
extension BlockKind {
    static let cellNone = BlockKind("none", preservesShape: true, isCellOperator: true) { _, _, _ throws(ShapeError) in
        nil
    }

    static let cellSkip = BlockKind("skip_connect", preservesShape: true, isCellOperator: true) {
        x, _, _ throws(ShapeError) in x
    }

    static let cellConvolution1x1 = BlockKind(
        "nor_conv_1x1", preservesShape: true, isCellOperator: true
    ) { x, _, g throws(ShapeError) in
        let y = try g.convolution(g.activation(x, .relu), width: x.width, kernel: 1, name: "conv")
        return try g.batchNorm(y, name: "norm")
    }

    static let cellConvolution3x3 = BlockKind(
        "nor_conv_3x3", preservesShape: true, isCellOperator: true
    ) { x, _, g throws(ShapeError) in
        let y = try g.convolution(g.activation(x, .relu), width: x.width, kernel: 3, name: "conv")
        return try g.batchNorm(y, name: "norm")
    }

    /// Padding is not counted in the mean.
    static let cellAveragePool3x3 = BlockKind(
        "avg_pool_3x3", preservesShape: true, isCellOperator: true
    ) { x, _, g throws(ShapeError) in try g.averagePool(x, kernel: 3, stride: 1) }
}
