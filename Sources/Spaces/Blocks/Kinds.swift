extension BlockKind {
    static let convolution = BlockKind(
        "conv",
        settings: [
            ("kernel", nil), ("width", nil), ("stride", .integer(1)), ("groups", .integer(1)), ("activation", nil),
        ])
    static let mbconv = BlockKind(
        "mbconv",
        settings: [
            ("kernel", nil), ("expansion", nil), ("width", nil), ("stride", .integer(1)), ("squeeze_excite", .integer(0)),
            ("activation", nil),
        ])
    static let skip = BlockKind("skip", preservesShape: true)
    static let residual = BlockKind("residual", settings: [("width", nil), ("stride", .integer(1))])
    static let shuffle = BlockKind("shuffle", settings: [("kernel", nil), ("width", nil), ("stride", .integer(1))])
    static let xception = BlockKind("xception", settings: [("width", nil), ("stride", .integer(1))])
    static let batchNorm = BlockKind("batch_norm", settings: [("activation", nil)], preservesShape: true)
    static let globalAveragePool = BlockKind("global_average_pool")
    static let dropout = BlockKind("dropout", settings: [("rate", nil)], preservesShape: true)
    static let linear = BlockKind("linear")
    static let cellNone = BlockKind("none", preservesShape: true, isCellOperator: true)
    static let cellSkip = BlockKind("skip_connect", preservesShape: true, isCellOperator: true)
    static let cellConvolution1x1 = BlockKind("nor_conv_1x1", preservesShape: true, isCellOperator: true)
    static let cellConvolution3x3 = BlockKind("nor_conv_3x3", preservesShape: true, isCellOperator: true)
    static let cellAveragePool3x3 = BlockKind("avg_pool_3x3", preservesShape: true, isCellOperator: true)
}
