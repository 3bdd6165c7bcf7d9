public import IR
import Operators
import Passes

/// Random programs over images, and values to run them on; all from a seed.
public enum RandomGraph {
    /// A network of about `count` nodes on one image: convolutions, normalisation, activations, pools, sums, joins,
    /// slices, gates, and a classifier at the end of some.
    public static func network(seed: UInt64, count: Int = 16, trains: Bool = true) throws(ShapeError) -> Graph {
        var random = RandomSource(seed: seed).fork("graph")
        var g = GraphBuilder(name: "random\(seed)")
        var images = [g.input("x", .f32(2, [1, 3, 4][random.integer(below: 3)], 6, 5))]
        while g.graph.nodes.count < count {
            let x = images[max(0, images.count - 1 - random.integer(below: min(images.count, 4)))]
            images.append(try grow(x, images, g.graph.nodes.count, trains, &g, &random))
        }
        var outputs = [images[images.count - 1]]
        if random.bernoulli() {
            let last = images[images.count - 1]
            let pooled = try g.append(ReduceMean(axes: [2, 3]), last)
            let weights = g.parameter("classifier.weight", .f32(5, g.type(of: pooled).shape[1]))
            let bias = g.parameter("classifier.bias", .f32(5))
            outputs = [try g.append(Linear(), pooled, weights, bias)]
        }
        if random.bernoulli(0.3) { outputs.append(images[random.integer(below: images.count)]) }
        return g.finish(outputs: outputs)
    }

    private static func grow(
        _ x: Value, _ images: [Value], _ index: Int, _ trains: Bool, _ g: inout GraphBuilder,
        _ random: inout RandomSource
    ) throws(ShapeError) -> Value {
        let type = g.type(of: x), c = type.shape[1]
        let alike = images.filter { g.type(of: $0) == type }
        switch random.integer(below: 13) {
        case 0, 1:
            let k = 1 + random.integer(below: 6), size = [1, 3][random.integer(below: 2)]
            let w = g.parameter("conv\(index).filter", .f32(k, c, size, size))
            let stride = type.shape[2] > 3 ? 1 + random.integer(below: 2) : 1
            return try g.append(Conv2D(kernel: size, stride: stride), x, w)
        case 2:
            let w = g.parameter("depthwise\(index).filter", .f32(c, 1, 3, 3))
            let b = g.parameter("depthwise\(index).bias", .f32(c))
            return try g.append(Conv2D(kernel: 3, dilation: 1 + random.integer(below: 2), groups: c), x, w, b)
        case 3, 4:
            let scale = g.parameter("norm\(index).scale", .f32(c)), bias = g.parameter("norm\(index).bias", .f32(c))
            if trains { return try g.appendAll(BatchNorm(), [x, scale, bias])[0] }
            let mean = g.parameter("norm\(index).mean", .f32(c)),
                variance = g.parameter("norm\(index).variance", .f32(c))
            return try g.append(BatchNormInference(), x, mean, variance, scale, bias)
        case 5: return try g.append(HardSwish(), x)
        case 6: return try g.append(Clip(low: -0.5, high: 1.5), x)
        case 7:
            let size = min(2, type.shape[2], type.shape[3])
            let window = Window(kernel: [size, size], stride: [1, 1])
            return random.bernoulli() ? try g.append(MaxPool2D(window), x) : try g.append(AveragePool2D(window), x)
        case 8: return try g.append(Add(), x, random.element(of: alike))
        case 9: return try g.append(Concat(axis: 1), x, random.element(of: alike))
        case 10 where c > 1: return try g.append(Slice(axis: 1, start: c / 2, size: c - c / 2, of: type.shape), x)
        case 11:
            let gate = try g.append(Sigmoid(), g.append(ReduceMean(axes: [2, 3], keepsDimensions: true), x))
            return try g.append(Multiply(), x, gate)
        default: return try g.append(Multiply(), g.append(Sigmoid(), x), random.element(of: alike))
        }
    }

    /// Values of every input; integers from 0 to 3.
    public static func inputs(of graph: Graph, _ random: RandomSource) -> [Literal] {
        graph.inputs.enumerated().map { values(graph.type(of: $1), random.fork("input").fork($0)) }
    }

    /// Values of every parameter, by name; those called a variance are positive.
    public static func parameters(of graph: Graph, _ random: RandomSource) -> [String: Literal] {
        var parameters: [String: Literal] = [:]
        for (name, value) in graph.parameters {
            let literal = values(graph.type(of: value), random.fork(name))
            parameters[name] =
                name.hasSuffix("variance")
                ? Literal(literal.element, literal.shape, reals: literal.reals.map { 0.5 + abs($0) }) : literal
        }
        return parameters
    }

    private static func values(_ type: TensorType, _ random: RandomSource) -> Literal {
        var random = random
        if type.element.isFloatingPoint {
            // Whole eighths: equal in every floating-point type.
            return Literal(
                type.element, type.shape,
                reals: (0..<type.count).map { _ in Double(random.integer(below: 33) - 16) / 16 })
        }
        return Literal(
            type.element, type.shape,
            integers: (0..<type.count).map { _ in Int64(random.integer(below: type.element == .bool ? 2 : 4)) })
    }
}

extension RandomGraph {
    /// The step of a random network: its first output, a loss, and the gradients of all parameters the loss depends on.
    public static func trainingStep(seed: UInt64, count: Int = 16) throws(ShapeError) -> Graph {
        let network = try network(seed: seed, count: count)
        var g = GraphBuilder(name: network.name)
        let inputs = zip(network.inputs, network.inputNames).map { g.input($1, network.type(of: $0)) }
        let output = g.inline(network, inputs: inputs)[0]
        let loss = try g.append(ReduceSum(), g.append(Multiply(), output, output))
        let parameters = g.graph.parameters
        let gradients = try g.gradients(of: [loss], wrt: parameters.map(\.value))
        let named = zip(parameters, gradients).compactMap { parameter, gradient in gradient.map { (parameter.name, $0) }
        }
        return g.finish(
            outputs: [output, loss] + named.map(\.1), names: ["output", "loss"] + named.map { "gradient of " + $0.0 })
    }
}
