import IR
import Operators

/// Folds inference-time batch normalisation, with scale and bias or without, into the convolution or linear layer before it.
///
/// Runs after constants are bound and before epilogues are fused, which expects a bias. A convolution that others read as
/// well is left alone. Without it graphs stay right, only slower.
///
///     %1 = conv2d %x, %w                               →     %1 = conv2d %x, %w', %b'
///     %2 = batch_norm_inference %1, %mean, %variance
public let foldBatchNorm = Pass("fold-batch-norm") { graph throws(PassError) in
    let uses = graph.useCounts()
    var producers = Producers()
    let folded = try graph.rewritten { node, operands, g throws(PassError) in
        guard let norm = node.op as? BatchNormInference, uses[node.operands[0].id] == 1,
            let layer = producers.node(of: operands[0], in: g), layer.op is Conv2D || layer.op is Linear
        else { return nil }
        let constants = (layer.operands.dropFirst() + operands.dropFirst()).compactMap { g.constant(of: $0) }
        guard constants.count == layer.operands.count - 1 + operands.count - 1 else { return nil }
        let (weights, bias) = normalised(
            layer: Array(constants.prefix(layer.operands.count - 1)), norm, Array(constants.suffix(operands.count - 1)))
        let name = layer.name ?? node.name
        let operands = [
            layer.operands[0], g.constant(weights, name: name.map { $0 + ".filter" }),
            g.constant(bias, name: name.map { $0 + ".bias" }),
        ]
        return try rewriting { () throws(ShapeError) in try g.appendAll(layer.op, operands, name: name) }
    }
    return folded.withoutDeadCode()
}

/// Weights and bias of a layer followed by the normalisation: `w · s` and `(b - mean) · s + bias`, with
/// `s = scale / √(variance + epsilon)`, in double precision.
private func normalised(layer: [Literal], _ norm: BatchNormInference, _ statistics: [Literal]) -> (Literal, Literal) {
    let weights = layer[0], channels = weights.shape[0], row = weights.count / max(channels, 1)
    let mean = statistics[0].reals, variance = statistics[1].reals
    let scale = statistics.count == 4 ? statistics[2].reals : [Double](repeating: 1, count: channels)
    let shift = statistics.count == 4 ? statistics[3].reals : [Double](repeating: 0, count: channels)
    let bias = layer.count == 2 ? layer[1].reals : [Double](repeating: 0, count: channels)
    let factors = (0..<channels).map { scale[$0] / (variance[$0] + norm.epsilon).squareRoot() }
    var values = weights.reals
    for index in values.indices { values[index] *= factors[index / row] }
    return (
        Literal(weights.element, weights.shape, reals: values),
        Literal(
            weights.element, [channels], reals: (0..<channels).map { (bias[$0] - mean[$0]) * factors[$0] + shift[$0] })
    )
}
