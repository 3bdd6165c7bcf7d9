import IR
import Operators

/// The layers that the reference networks are made of, named by the order in which they are made.
struct LayerBuilder {
    var g: GraphBuilder
    private var count = 0

    init(_ name: String) { g = GraphBuilder(name: name) }

    private mutating func next(_ kind: String) -> String {
        count += 1
        return "\(kind)\(count)"
    }

    func channels(_ x: Value) -> Int { g.type(of: x).shape[1] }

    mutating func convolution(
        _ x: Value, _ width: Int, kernel: Int, stride: Int = 1, dilation: Int = 1, groups: Int = 1
    ) throws(ShapeError) -> Value {
        let name = next("conv")
        let filter = g.parameter(name + ".filter", .f32(width, channels(x) / groups, kernel, kernel))
        return try g.append(
            Conv2D(kernel: kernel, stride: stride, dilation: dilation, groups: groups), x, filter, name: name)
    }

    mutating func norm(_ x: Value, affine: Bool = true) throws(ShapeError) -> Value {
        let name = next("norm"), c = channels(x)
        let operands = affine ? [x, g.parameter(name + ".scale", .f32(c)), g.parameter(name + ".bias", .f32(c))] : [x]
        return try g.appendAll(BatchNorm(), operands, name: name)[0]
    }

    mutating func relu(_ x: Value) throws(ShapeError) -> Value { try g.append(Relu(), x, name: next("relu")) }
    mutating func relu6(_ x: Value) throws(ShapeError) -> Value {
        try g.append(Clip(low: 0, high: 6), x, name: next("relu"))
    }
    mutating func add(_ a: Value, _ b: Value) throws(ShapeError) -> Value {
        try g.append(Add(), a, b, name: next("add"))
    }
    mutating func sum(_ terms: [Value]) throws(ShapeError) -> Value {
        var sum = terms[0]
        for term in terms.dropFirst() { sum = try add(sum, term) }
        return sum
    }

    /// A pool of 3 x 3 that keeps the size but for the stride.
    mutating func maxPool(_ x: Value, stride: Int = 1) throws(ShapeError) -> Value {
        let window = Window(kernel: [3, 3], stride: [stride, stride], padding: [1, 1, 1, 1])
        return try g.append(MaxPool2D(window), x, name: next("pool"))
    }
    mutating func averagePool(_ x: Value, stride: Int = 1) throws(ShapeError) -> Value {
        let window = Window(kernel: [3, 3], stride: [stride, stride], padding: [1, 1, 1, 1])
        return try g.append(AveragePool2D(window), x, name: next("pool"))
    }

    /// Global average pool, a linear layer, and the cross-entropy to the input `targets`.
    mutating func loss(_ x: Value, classes: Int = 10) throws(ShapeError) -> Graph {
        let pooled = try g.append(ReduceMean(axes: [2, 3]), x, name: "pool")
        let weight = g.parameter("linear.weight", .f32(classes, channels(x)))
        let bias = g.parameter("linear.bias", .f32(classes))
        let logits = try g.append(Linear(), pooled, weight, bias, name: "linear")
        let targets = g.input("targets", g.type(of: logits))
        let loss = try g.append(SoftCrossEntropy(), logits, targets, name: "loss")
        return g.finish(outputs: [loss, logits], names: ["loss", "logits"])
    }

    /// The softmax of each row of a parameter [rows, columns]: the weights of mixtures.
    mutating func mixtures(_ name: String, rows: Int, columns: Int) throws(ShapeError) -> [Value] {
        let alpha = g.parameter(name, .f32(rows, columns))
        let weights = try g.append(Softmax(axis: -1), alpha, name: name + ".softmax")
        var result: [Value] = []
        for row in 0..<rows {
            let slice = try g.append(
                Slice(starts: [row, 0], sizes: [1, columns]), weights, name: "\(name).row\(row)")
            result.append(try g.append(Reshape([columns]), slice))
        }
        return result
    }

    /// A weighted sum of alternatives; `nil` stands for zeros.
    mutating func mixture(_ weights: Value, _ alternatives: [Value?]) throws(ShapeError) -> Value {
        guard let like = alternatives.compactMap({ $0 }).first else { preconditionFailure("a mixture of zeros alone") }
        var values: [Value] = []
        for alternative in alternatives {
            if let alternative {
                values.append(alternative)
            } else {
                values.append(
                    try g.append(BroadcastTo(g.type(of: like).shape), g.constant(0), name: next("zero")))
            }
        }
        return try g.appendAll(WeightedSum(), [weights] + values, name: next("mixture"))[0]
    }
}
