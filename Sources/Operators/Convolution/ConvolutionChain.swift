import IR

/// A chain of convolutions with everything between them, computed as one: factors of the input's channels, biases,
/// activations, an operand added to the last convolution, a pooling to the largest, and the means of its result.
///
/// Its meaning is its decomposition. Only the code generator's schedule makes it: the values between stay in the cache.
///
/// - Shapes: `x: [N, C, H, W]`, then `w, b` of every stage, then `factors: [N, C, 1, 1]` (when `scaled`) and
///   `r: [the result's]` (when `residual`) `→ y: [N, K, H', W']` and `means: [N, K, 1, 1]` (when `means`).
public struct ConvolutionChain: Operator {
    public static let mnemonic = "convolution_chain"

    /// A convolution with a bias, and the function behind it.
    public struct Stage: Codable, Hashable, Sendable {
        public var convolution = Conv2D()
        /// The mnemonic of an activation, and its attributes. None when empty.
        public var function = ""
        public var parameters: [Double] = []

        public init(_ convolution: Conv2D, function: String = "", parameters: [Double] = []) {
            self.convolution = convolution
            self.function = function
            self.parameters = parameters
        }
    }

    public var stages: [Stage] = [Stage(Conv2D())]
    public var scaled = false
    public var residual = false
    public var means = false
    /// The window of a pooling to the largest behind the last stage; one, or none.
    public var pooling: [Window] = []

    public init() {}
    public init(
        _ stages: [Stage], scaled: Bool = false, residual: Bool = false, means: Bool = false, pooling: [Window] = []
    ) {
        self.pooling = pooling
        self.stages = stages
        self.scaled = scaled
        self.residual = residual
        self.means = means
    }

    public var operandCount: Int { 1 + 2 * stages.count + (scaled ? 1 : 0) + (residual ? 1 : 0) }
    public var factorsOperand: Int? { scaled ? 1 + 2 * stages.count : nil }
    public var residualOperand: Int? { residual ? operandCount - 1 : nil }

    public var layoutRule: LayoutRule { .image }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(operandCount, for: self)
        var y = x[0]
        for (i, stage) in stages.enumerated() {
            guard stage.function.isEmpty || UnaryGradient.functions[stage.function] != nil else {
                throw ShapeError("convolution_chain: unknown function '\(stage.function)'")
            }
            y = try stage.convolution.infer([y, x[1 + 2 * i], x[2 + 2 * i]])[0]
        }
        let column = [x[0].shape[0], x[0].shape[1], 1, 1]
        if let factors = factorsOperand, x[factors].shape != column {
            throw ShapeError("convolution_chain: the channels' factors should be \(column), found \(x[factors])")
        }
        if let residual = residualOperand, x[residual].shape != y.shape {
            throw ShapeError("convolution_chain: the operand to be added should be \(y), found \(x[residual])")
        }
        guard pooling.count <= 1 else {
            throw ShapeError("convolution_chain: expected at most one pooling, found \(pooling.count)")
        }
        for window in pooling { y = try MaxPool2D(window).infer([y])[0] }
        return means ? [y, y.with(shape: Array(y.shape[..<2]) + [1, 1])] : [y]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        var y = x[0]
        if let factors = factorsOperand { y = try g.append(Multiply(), y, x[factors]) }
        for (i, stage) in stages.enumerated() {
            y = try g.append(stage.convolution, y, x[1 + 2 * i], x[2 + 2 * i])
            if i == stages.count - 1, let residual = residualOperand { y = try g.append(Add(), y, x[residual]) }
            if let function = stage.activation { y = try g.appendAll(function, [y])[0] }
        }
        for window in pooling { y = try g.append(MaxPool2D(window), y) }
        return means ? [y, try g.append(ReduceMean(axes: [2, 3], keepsDimensions: true), y)] : [y]
    }

    public static var specimens: [Specimen] {
        let point = Conv2D(), depthwise = Conv2D(kernel: 3, stride: 2, groups: 6), dense = Conv2D(kernel: 3)
        let clip = Stage(point, function: "clip", parameters: [0, 1])
        return [
            Specimen(
                ConvolutionChain([Stage(dense, function: "relu")], residual: true), on: .f32(1, 2, 4, 5),
                .f32(3, 2, 3, 3), .f32(3),
                .f32(1, 3, 4, 5), differentiable: false),
            Specimen(
                ConvolutionChain([clip, Stage(depthwise, function: "silu"), Stage(point)]), on: .f32(1, 2, 5, 6),
                .f32(6, 2, 1, 1),
                .f32(6), .f32(6, 1, 3, 3), .f32(6), .f32(4, 6, 1, 1), .f32(4), differentiable: false),
            Specimen(
                ConvolutionChain([Stage(depthwise, function: "hard_swish")], means: true), on: .f32(1, 6, 5, 5),
                .f32(6, 1, 3, 3), .f32(6),
                differentiable: false),
            Specimen(
                ConvolutionChain([Stage(dense, function: "relu")], pooling: [Window(kernel: [2, 2])]),
                on: .f32(1, 2, 4, 6), .f32(3, 2, 3, 3), .f32(3), differentiable: false),
            Specimen(
                ConvolutionChain([Stage(point)], scaled: true), on: .f32(1, 3, 4, 4), .f32(5, 3, 1, 1), .f32(5),
                .f32(1, 3, 1, 1),
                differentiable: false),
        ]
    }
}

extension ConvolutionChain.Stage {
    /// The function behind the convolution as an operator.
    public var activation: (any UnaryElementwise)? {
        func make<A: ParametricActivation>(_ type: A.Type) -> any UnaryElementwise { type.init(parameters: parameters) }
        return UnaryGradient.functions[function].map { make($0) }
    }

    /// The stage with `activation` behind it; `nil` when it has one already, or the kernels do not know this one.
    public func followed(by activation: any Operator) -> Self? {
        guard function.isEmpty, let known = activation as? any ParametricActivation else { return nil }
        return Self(convolution, function: known.mnemonic, parameters: known.parameters)
    }
}

/// Convolutions whose results lie side by side in one tensor, computed in their place.
///
/// - Shapes: `x, w, b` of every branch `→ y: [N, ΣK, H', W']`.
public struct JoinedConvolutions: Operator {
    public static let mnemonic = "joined_convolutions"
    public var branches: [ConvolutionChain.Stage] = [.init(Conv2D()), .init(Conv2D())]

    public init() {}
    public init(_ branches: [ConvolutionChain.Stage]) { self.branches = branches }

    public var layoutRule: LayoutRule { .image }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(3 * branches.count, for: self)
        var parts: [TensorType] = []
        for i in branches.indices {
            parts += try ConvolutionChain([branches[i]]).infer(Array(x[3 * i..<3 * i + 3]))
        }
        return try Concat(axis: 1).infer(parts)
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        var parts: [Value] = []
        for (i, branch) in branches.enumerated() {
            var y = try g.append(branch.convolution, x[3 * i], x[3 * i + 1], x[3 * i + 2])
            if let function = branch.activation { y = try g.appendAll(function, [y])[0] }
            parts.append(y)
        }
        return try g.appendAll(Concat(axis: 1), parts)
    }

    public static var specimens: [Specimen] {
        [
            Specimen(
                JoinedConvolutions([.init(Conv2D(), function: "relu"), .init(Conv2D(kernel: 3))]), on: .f32(1, 2, 4, 3),
                .f32(3, 2, 1, 1),
                .f32(3), .f32(1, 2, 4, 3), .f32(2, 2, 3, 3), .f32(2), differentiable: false)
        ]
    }
}
