extension BlockKind {
    /// Every kind of block, in the order in which errors list them.
    static let all: [BlockKind] = [
        .convolution, .mbconv, .skip, .residual, .shuffle, .xception, .batchNorm, .globalAveragePool, .dropout, .linear,
        .cellNone, .cellSkip, .cellConvolution1x1, .cellConvolution3x3, .cellAveragePool3x3,
    ]
}
