import IR

extension Registry {
    /// Normalisations of ONNX that are means and products.
    static let normalisationImports: [ONNXImport] = [
        ONNXImport("LayerNormalization", versions: 17...21) { node, g throws(ONNXImportError) in
            let x = try node.required(0), scale = try node.required(1), bias = node.input(2)
            let shape = g.type(of: x).shape
            let axis = try node.axis(default: -1, rank: shape.count), epsilon = try node.float("epsilon", default: 1e-5)
            let affine = [scale] + (bias.map { [$0] } ?? [])
            if !node.wants(1), !node.wants(2), affine.allSatisfy({ g.type(of: $0).shape == Array(shape[axis...]) }) {
                let op = LayerNorm(axis: axis, epsilon: epsilon)
                return try importing { () throws(ShapeError) in try g.appendAll(op, [x] + affine, name: node.name) }
            }
            let n = try normalised(x, over: Array(axis..<shape.count), epsilon: epsilon, &g)
            var y = try g.apply(Multiply(), n.y, scale)
            if let bias { y = try g.apply(Add(), y, bias) }
            return [y, n.mean, n.factor]
        },
        ONNXImport("InstanceNormalization") { node, g throws(ONNXImportError) in
            let x = try node.required(0), shape = g.type(of: x).shape
            guard shape.count >= 2 else { throw .malformed("operand 0 should have channels, found shape \(shape)") }
            let n = try normalised(x, over: Array(2..<shape.count), epsilon: node.float("epsilon", default: 1e-5), &g)
            let perChannel = [shape[1]] + [Int](repeating: 1, count: shape.count - 2)
            let scaled = try g.apply(Multiply(), n.y, g.apply(Reshape(perChannel), node.required(1)))
            return [try g.apply(Add(), scaled, g.apply(Reshape(perChannel), node.required(2)), name: node.name)]
        },
        ONNXImport("GroupNormalization", versions: 18...21) { node, g throws(ONNXImportError) in
            let x = try node.required(0), shape = g.type(of: x).shape, groups = try node.int("num_groups", default: 0)
            guard shape.count >= 2, groups > 0, shape[1] % groups == 0 else {
                throw .malformed("the channels of shape \(shape) do not make \(groups) groups")
            }
            let grouped = try g.apply(Reshape([shape[0], groups, shape[1...].reduce(1, *) / groups]), x)
            let n = try normalised(grouped, over: [2], epsilon: node.float("epsilon", default: 1e-5), &g)
            // One scale and bias a group before opset 21, one a channel since.
            if node.opset < 21 {
                let scaled = try g.apply(Multiply(), n.y, g.apply(Reshape([groups, 1]), node.required(1)))
                let shifted = try g.apply(Add(), scaled, g.apply(Reshape([groups, 1]), node.required(2)))
                return [try g.apply(Reshape(shape), shifted, name: node.name)]
            }
            let perChannel = [shape[1]] + [Int](repeating: 1, count: shape.count - 2)
            let y = try g.apply(Reshape(shape), n.y)
            let scaled = try g.apply(Multiply(), y, g.apply(Reshape(perChannel), node.required(1)))
            return [try g.apply(Add(), scaled, g.apply(Reshape(perChannel), node.required(2)), name: node.name)]
        },
        ONNXImport("MeanVarianceNormalization", versions: 9...21) { node, g throws(ONNXImportError) in
            let x = try node.required(0),
                mean = ReduceMean(axes: try node.ints("axes") ?? [0, 2, 3], keepsDimensions: true)
            let centred = try g.apply(Subtract(), x, g.apply(mean, x))
            let deviation = try g.apply(Sqrt(), g.apply(mean, g.apply(Multiply(), centred, centred)))
            let divisor = try g.apply(Add(), deviation, g.constant(1e-9, like: x))
            return [try g.apply(Divide(), centred, divisor, name: node.name)]
        },
        ONNXImport("LRN") { node, g throws(ONNXImportError) in
            let x = try node.required(0), shape = g.type(of: x).shape, size = try node.int("size", default: 0)
            guard size > 0, shape.count >= 2 else { throw .malformed("size \(size) or shape \(shape) is wrong") }
            let alpha = try node.float("alpha", default: 1e-4), beta = try node.float("beta", default: 0.75)
            // The squares of `size` neighbouring channels, missing ones being zero.
            var pad = Pad(before: shape.map { _ in 0 }, after: shape.map { _ in 0 })
            (pad.before[1], pad.after[1]) = ((size - 1) / 2, size / 2)
            let squares = try g.apply(pad, g.apply(Multiply(), x, x)), wide = g.type(of: squares).shape
            var sum: Value?
            for tap in 0..<size {
                let part = try g.apply(Slice(axis: 1, start: tap, size: shape[1], of: wide), squares)
                sum = if let sum { try g.apply(Add(), sum, part) } else { part }
            }
            let scaled = try g.apply(Multiply(), sum ?? squares, g.constant(alpha / Double(size), like: x))
            let base = try g.apply(Add(), scaled, g.constant(try node.float("bias", default: 1), like: x))
            return [try g.apply(Divide(), x, g.apply(Power(), base, g.constant(beta, like: x)), name: node.name)]
        },
    ]

    /// Normalisation by the statistics of the batch itself, with the running ones moved towards those.
    static func normalisedByBatch(_ node: ONNXNode, _ g: inout GraphBuilder) throws(ONNXImportError) -> [Value] {
        let x = try node.required(0), shape = g.type(of: x).shape, element = g.type(of: x).element
        guard shape.count >= 2 else { throw .malformed("operand 0 should have channels, found shape \(shape)") }
        let op = ReduceMean(axes: shape.indices.filter { $0 != 1 }, keepsDimensions: true)
        let mean = try g.apply(op, x), centred = try g.apply(Subtract(), x, mean)
        let variance = try g.apply(op, g.apply(Multiply(), centred, centred))
        func affine(_ index: Int, _ g: inout GraphBuilder) throws(ONNXImportError) -> Value {
            let value = try g.apply(Reshape(g.type(of: mean).shape), node.required(index))
            return g.type(of: value).element == element ? value : try g.apply(Cast(to: element), value)
        }
        let epsilon = try g.constant(node.float("epsilon", default: 1e-5), like: x)
        let deviation = try g.apply(Sqrt(), g.apply(Add(), variance, epsilon))
        let scaled = try g.apply(Multiply(), centred, g.apply(Divide(), affine(1, &g), deviation))
        var results = [try g.apply(Add(), scaled, affine(2, &g), name: node.name)]
        let momentum = try node.float("momentum", default: 0.9)
        for (index, current) in [(1, mean), (2, variance)] where node.wants(1) || node.wants(2) {
            let old = try node.required(2 + index), new = try g.apply(Reshape(g.type(of: old).shape), current)
            let kept = try g.apply(Multiply(), old, g.constant(momentum, like: old))
            let moved = try g.apply(Cast(to: g.type(of: old).element), new)
            results.append(
                try g.apply(Add(), kept, g.apply(Multiply(), moved, g.constant(1 - momentum, like: old))))
        }
        return results
    }

    /// `(x - μ) / √(σ² + epsilon)` over axes, with `μ` and the factor.
    private static func normalised(
        _ x: Value, over axes: [Int], epsilon: Double, _ g: inout GraphBuilder
    ) throws(ONNXImportError) -> (y: Value, mean: Value, factor: Value) {
        let op = ReduceMean(axes: axes, keepsDimensions: true)
        let mean = try g.apply(op, x), centred = try g.apply(Subtract(), x, mean)
        let variance = try g.apply(op, g.apply(Multiply(), centred, centred))
        let factor = try g.apply(Reciprocal(), g.apply(Sqrt(), g.apply(Add(), variance, g.constant(epsilon, like: x))))
        return (try g.apply(Multiply(), centred, factor), mean, factor)
    }
}
