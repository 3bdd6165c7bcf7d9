import CKernels
import IR

/// The function behind a fused normalisation: an activation's mnemonic and attributes, none being the identity.
public struct NormalisedActivation: Codable, Hashable, Sendable {
    public var function = ""
    public var attributes: [Double] = []

    public init() {}
    public init(of op: some ParametricActivation) {
        function = op.mnemonic
        attributes = op.parameters
    }

    /// The functions that fused kernels know, with their codes.
    public static let functions: [String: (code: Int, type: any ParametricActivation.Type)] = [
        Relu.mnemonic: (1, Relu.self), Clip.mnemonic: (2, Clip.self), HardSwish.mnemonic: (3, HardSwish.self),
    ]

    /// The function as an operator; `nil` for the identity.
    ///
    /// - Throws: ``ShapeError`` for one that is not known.
    public func makeOperator() throws(ShapeError) -> (any ParametricActivation)? {
        if function.isEmpty { return nil }
        guard let type = Self.functions[function]?.type else {
            throw ShapeError(
                "unknown function '\(function)' behind a normalisation; known: \(Self.functions.keys.sorted().joined(separator: ", "))"
            )
        }
        return type.init(parameters: attributes)
    }

    var code: Int { Self.functions[function]?.code ?? 0 }
    /// The two reals of the kernels.
    var reals: [Double] { Array((attributes + [0, 0]).prefix(2)) }

    func apply(_ x: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        guard let op = try makeOperator() else { return x }
        return try g.appendAll(op, [x])[0]
    }
    /// The gradient with respect to the operand `x`, from that of the result.
    func pullBack(_ dy: Value, _ x: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        guard let op = try makeOperator() else { return dy }
        return try g.append(gradient(op), x, dy)
    }
    private func gradient(_ op: some ParametricActivation) -> UnaryGradient { UnaryGradient(of: op) }
}

extension GraphBuilder {
    /// `scale · x + shift` by channel, of an image.
    mutating func scaled(_ x: Value, _ scale: Value, _ shift: Value) throws(ShapeError) -> Value {
        let channels = [type(of: scale).shape[0], 1, 1]
        let product = try append(Multiply(), x, append(Reshape(channels), scale))
        return try append(Add(), product, append(Reshape(channels), shift))
    }

    /// `a · g + b · t + d` by channel.
    mutating func denormalised(
        _ g: Value, _ t: Value, _ a: Value, _ b: Value, _ d: Value
    ) throws(ShapeError) -> Value {
        let channels = [type(of: a).shape[0], 1, 1]
        return try append(Add(), append(Multiply(), g, append(Reshape(channels), a)), scaled(t, b, d))
    }

    /// The sums `[2, C]` by channel of `dx` and of its product with `x - mean`.
    mutating func centredSums(_ dx: Value, of x: Value, mean: Value) throws(ShapeError) -> Value {
        let c = type(of: mean).shape[0]
        let centred = try append(Subtract(), x, append(Reshape([c, 1, 1]), mean))
        let sum = try append(ReduceSum(axes: [0, 2, 3]), dx)
        let product = try append(ReduceSum(axes: [0, 2, 3]), append(Multiply(), dx, centred))
        let rows = [try append(Reshape([1, c]), sum), try append(Reshape([1, c]), product)]
        return try appendAll(Concat(axis: 0), rows)[0]
    }

    /// `x` with every number rounded to another type, in its own.
    mutating func rounded(_ x: Value, to element: ElementType) throws(ShapeError) -> Value {
        let own = type(of: x).element
        return own == element ? x : try append(Cast(to: own), append(Cast(to: element), x))
    }
}

extension TensorType {
    /// Whether an image of this type, layout aside, has fused kernels.
    public var hasFusedChannels: Bool {
        rank == 4 && element == .f32 && count > 0 && martlet_fused_channels(Int64(shape[1])) != 0
    }

    /// Whether the fused kernels take this image.
    var isFusedImage: Bool { isKernelImage && martlet_fused_channels(Int64(shape[1])) != 0 }

    /// Rows of an image's channels.
    var imageRows: Int { count / max(shape[1], 1) }
}
