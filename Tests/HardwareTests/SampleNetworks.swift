import IR
import Operators
import TestSupport

/// Networks and operators that are run on every target, with the numbers they should give.
struct SampleNetwork {
    var name: String
    var graph: Graph
    var parameters: [String: Literal] = [:]
    var inputs: [Literal]
    var expected: [Literal]

    private init(name: String, graph: Graph, inputs: [Literal], _ random: RandomSource) throws {
        self.name = name
        self.graph = graph
        self.inputs = inputs
        for (index, parameter) in graph.parameters.enumerated() {
            var source = random.fork(index)
            let type = graph.type(of: parameter.value)
            let isVector = type.shape.count < 2
            let scale = 1 / Double(type.shape.dropFirst().reduce(1, *)).squareRoot()
            let values = (0..<type.count).map { _ in
                isVector ? 0.5 + source.uniform() : scale * (4 * source.uniform() - 2)
            }
            parameters[parameter.name] = Literal(.f32, type.shape, reals: values)
        }
        expected = try Interpreter.run(
            graph, inputs: inputs.map { ReferenceTensor<Float>($0) },
            parameters: parameters.mapValues { ReferenceTensor<Float>($0) }
        ).map(\.literal)
    }

    /// An inverted-residual network with squeeze-and-excite, as searches find them.
    static func mobile() throws -> SampleNetwork {
        var random = RandomSource(seed: 11)
        var g = GraphBuilder(name: "mobile")
        func normalised(_ x: Value, _ name: String) throws -> Value {
            let channels = g.type(of: x).shape[1]
            let vectors = ["mean", "variance", "scale", "offset"].map { g.parameter("\(name).\($0)", .f32(channels)) }
            return try g.appendAll(BatchNormInference(), [x] + vectors)[0]
        }
        func convolved(_ x: Value, _ name: String, _ channels: Int, _ op: Conv2D, kernel: Int) throws -> Value {
            let depth = g.type(of: x).shape[1] / op.groups
            let filter = g.parameter("\(name).filter", .f32(channels, depth, kernel, kernel))
            return try normalised(try g.append(op, x, filter), name)
        }
        let x = g.input("image", .f32(1, 3, 16, 16))
        var y = try g.append(HardSwish(), convolved(x, "stem", 8, Conv2D(kernel: 3, stride: 2), kernel: 3))
        for (name, kernel, stride) in [("block1", 3, 1), ("block2", 5, 2)] {
            let shortcut = y
            y = try g.append(Relu(), convolved(y, name + ".expand", 24, Conv2D(), kernel: 1))
            let depthwise = Conv2D(kernel: kernel, stride: stride, groups: 24)
            y = try g.append(Relu(), convolved(y, name + ".depthwise", 24, depthwise, kernel: kernel))
            let squeezed = try g.append(ReduceMean(axes: [2, 3], keepsDimensions: true), y)
            let gate = try g.append(HardSigmoid(), convolved(squeezed, name + ".gate", 24, Conv2D(), kernel: 1))
            y = try g.append(Multiply(), y, gate)
            y = try convolved(y, name + ".project", 8, Conv2D(), kernel: 1)
            if stride == 1 { y = try g.append(Add(), y, shortcut) }
        }
        let pooled = try g.append(ReduceMean(axes: [2, 3]), y)
        let scores = try g.append(MatMul(), pooled, g.parameter("head.weight", .f32(8, 10)))
        let classes = try g.append(Softmax(axis: 1), scores)
        let graph = g.finish(outputs: [classes], names: ["classes"])
        let image = Literal(.f32, [1, 3, 16, 16], reals: (0..<768).map { _ in 2 * random.uniform() - 1 })
        return try SampleNetwork(name: "mobile", graph: graph, inputs: [image], random)
    }

    /// A plain network: dense convolutions, both kinds of pooling, a branch that is concatenated.
    static func plain() throws -> SampleNetwork {
        var random = RandomSource(seed: 12)
        var g = GraphBuilder(name: "plain")
        let x = g.input("image", .f32(2, 1, 12, 12))
        let stem = try g.append(Relu(), g.append(Conv2D(kernel: 3), x, g.parameter("stem", .f32(6, 1, 3, 3))))
        let window = Window(kernel: [2, 2], stride: [2, 2])
        let left = try g.append(MaxPool2D(window), stem)
        let right = try g.append(AveragePool2D(window), stem)
        let both = try g.append(Concat(axis: 1), left, right)
        let deep = Conv2D(stride: [1, 1], dilation: [2, 2], padding: [2, 1, 2, 1], groups: 2)
        let y = try g.append(Sigmoid(), g.append(deep, both, g.parameter("deep", .f32(8, 6, 3, 3))))
        let count = g.type(of: y).count / 2
        let flat = try g.append(Reshape([2, count]), y)
        let scores = try g.append(MatMul(), flat, g.parameter("head", .f32(count, 5)))
        let biased = try g.append(Add(), scores, g.parameter("bias", .f32(5)))
        let graph = g.finish(outputs: [biased], names: ["scores"])
        let image = Literal(.f32, [2, 1, 12, 12], reals: (0..<288).map { _ in 2 * random.uniform() - 1 })
        return try SampleNetwork(name: "plain", graph: graph, inputs: [image], random)
    }

    /// Every operator that can be deployed, all specimens side by side in one graph: one program a target.
    static func operators() throws -> SampleNetwork {
        let random = RandomSource(seed: 13)
        var g = GraphBuilder(name: "operators")
        var inputs: [Literal] = []
        var outputs: [Value] = []
        for (name, specimen) in Specimen.registered where !specimen.op.isTrainingOnly {
            var source = random.fork(name)
            let operands: [ReferenceTensor<Float>] = specimen.draw(&source)
            let values = zip(specimen.operands, operands).map { operand, tensor in
                if case .literal(let literal) = operand { return g.constant(literal) }
                inputs.append(tensor.literal)
                return g.input("x\(inputs.count - 1)", tensor.type)
            }
            outputs += try g.appendAll(specimen.op, values)
        }
        return try SampleNetwork(name: "operators", graph: g.finish(outputs: outputs), inputs: inputs, random)
    }
}

/// The largest difference as a share of the largest expected value; integers that differ are infinitely far apart.
func relativeDifference(_ found: Literal, _ expected: Literal) -> Double {
    guard found.type == expected.type else { return .infinity }
    guard expected.element.isFloatingPoint else { return found.bytes == expected.bytes ? 0 : .infinity }
    var largest = 0.0
    var worst = 0.0
    for (f, e) in zip(found.reals, expected.reals) where f != e && !(f.isNaN && e.isNaN) {
        guard (f - e).isFinite else { return .infinity }
        worst = max(worst, abs(f - e))
    }
    for e in expected.reals where e.isFinite { largest = max(largest, abs(e)) }
    return worst == 0 ? 0 : worst / max(largest, .leastNormalMagnitude)
}

/// Some tens of roundings of the type, since sums run in another order; the interpreter works in single precision.
func allowedDifference(_ element: ElementType) -> Double {
    switch element {
    case .f16: 2e-3
    case .bf16: 2e-2
    default: 4e-6
    }
}
