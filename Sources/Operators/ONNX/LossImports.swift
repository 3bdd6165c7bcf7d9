import IR

extension Registry {
    /// Losses of ONNX: sums over picked log-probabilities.
    static let lossImports: [ONNXImport] = [
        ONNXImport("NegativeLogLikelihoodLoss", versions: 12...21) { node, g throws(ONNXImportError) in
            let x = try node.required(0), target = try node.required(1)
            return [try negativeLogLikelihood(x, target, node.input(2), node, &g)]
        },
        ONNXImport("SoftmaxCrossEntropyLoss", versions: 12...21) { node, g throws(ONNXImportError) in
            let x = try node.required(0), target = try node.required(1)
            let logarithms = try g.apply(LogSoftmax(axis: 1), x)
            return [try negativeLogLikelihood(logarithms, target, node.input(2), node, &g), logarithms]
        },
    ]

    /// `-w[t] x[t]` of each target `t`, as it is, summed, or divided by the sum of the weights.
    private static func negativeLogLikelihood(
        _ x: Value, _ target: Value, _ weight: Value?, _ node: ONNXNode, _ g: inout GraphBuilder
    ) throws(ONNXImportError) -> Value {
        let shape = g.type(of: x).shape, targets = g.type(of: target).shape
        guard shape.count >= 2, targets == [shape[0]] + shape[2...] else {
            throw .malformed(
                "the targets of \(shape) should have shape \([shape.first ?? 0] + shape.dropFirst(2)), found \(targets)"
            )
        }
        var classes = target
        var counts: Value?
        if node.attributes["ignore_index"] != nil {
            let ignored = try g.apply(
                Equal(), target, g.constant(Double(try node.int("ignore_index", default: -1)), like: target))
            classes = try g.apply(Where(), ignored, g.constant(0, like: target), target)
            counts = try g.apply(Where(), ignored, g.constant(0, like: x), g.constant(1, like: x))
        }
        let picked = try g.apply(
            GatherElements(axis: 1), x, g.apply(Reshape([targets[0], 1] + targets.dropFirst()), classes))
        var losses = try g.apply(Negate(), g.apply(Reshape(targets), picked))
        var weights = counts
        if let weight {
            let each = try g.apply(Gather(), weight, classes)
            weights = try counts.map { counts throws(ONNXImportError) in try g.apply(Multiply(), each, counts) } ?? each
        }
        if let weights { losses = try g.apply(Multiply(), losses, weights) }
        switch try node.string("reduction", default: "mean") {
        case "none": return losses
        case "sum": return try g.apply(ReduceSum(), losses, name: node.name)
        case "mean":
            guard let weights else { return try g.apply(ReduceMean(), losses, name: node.name) }
            return try g.apply(Divide(), g.apply(ReduceSum(), losses), g.apply(ReduceSum(), weights), name: node.name)
        case let other: throw .malformed("reduction '\(other)' is none of none, sum and mean")
        }
    }
}
