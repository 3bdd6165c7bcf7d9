import IR

/// What a fused operator does to each element of a product: `y = f(p + bias + residual)`, every part optional.
///
/// The operands follow those of the product: the bias, then the residual. The function is named by its mnemonic.
public protocol EpilogueOperator: Operator {
    var addsBias: Bool { get set }
    var addsResidual: Bool { get set }
    var activation: String { get set }
    var parameters: [Double] { get set }
    /// The dimension of the result along which the bias lies.
    func biasAxis(_ y: TensorType) -> Int
}

extension EpilogueOperator {
    /// Functions that can end a fused operator.
    public static var activations: [String: any ParametricActivation.Type] { UnaryGradient.functions }

    /// The activation as an operator; `nil` where there is none.
    ///
    /// - Throws: ``ShapeError`` for an unknown one.
    public func activationOperator() throws(ShapeError) -> (any ParametricActivation)? {
        if activation.isEmpty { return nil }
        guard let type = Self.activations[activation] else {
            let known = Self.activations.keys.sorted().joined(separator: ", ")
            throw ShapeError("\(Self.mnemonic): unknown activation '\(activation)'; known: \(known)")
        }
        let count = type.init().parameters.count
        guard parameters.count == count else {
            throw ShapeError(
                "\(Self.mnemonic): activation '\(activation)' has \(count) parameters, found \(parameters.count)")
        }
        return type.init(parameters: parameters)
    }

    /// The operands by their parts, when there are as many as the attributes say.
    public func parts<T>(_ x: [T]) throws(ShapeError) -> (product: [T], bias: T?, residual: T?) {
        let count = 2 + (addsBias ? 1 : 0) + (addsResidual ? 1 : 0)
        guard x.count == count else { throw ShapeError("\(Self.mnemonic) expects \(count) operands, found \(x.count)") }
        return (Array(x.prefix(2)), addsBias ? x[2] : nil, addsResidual ? x[count - 1] : nil)
    }

    func checkEpilogue(_ bias: TensorType?, _ residual: TensorType?, _ y: TensorType) throws(ShapeError) {
        _ = try activationOperator()
        let channels = y.shape[biasAxis(y)]
        if let bias, bias != y.with(shape: [channels]) {
            throw ShapeError("\(Self.mnemonic): the bias should be \(y.with(shape: [channels])), found \(bias)")
        }
        if let residual, residual != y {
            throw ShapeError("\(Self.mnemonic): the residual should be \(y), found \(residual)")
        }
    }

    func appendEpilogue(_ y: Value, _ bias: Value?, _ residual: Value?, in g: inout GraphBuilder) throws(ShapeError)
        -> Value
    {
        var y = y
        let type = g.type(of: y)
        if let bias {
            let axis = biasAxis(type), trailing = type.rank - axis - 1
            let shaped =
                trailing == 0
                ? bias : try g.append(Reshape([type.shape[axis]] + [Int](repeating: 1, count: trailing)), bias)
            y = try g.append(Add(), y, shaped)
        }
        if let residual { y = try g.append(Add(), y, residual) }
        if let activation = try activationOperator() { y = try g.appendAll(activation, [y])[0] }
        return y
    }

    /// The product's C followed by one loop over its result.
    func epilogueC(_ product: CBody, _ x: [TensorType], _ y: TensorType) -> CBody? {
        guard let activation = try? activationOperator() else {
            return self.activation.isEmpty ? loop(product, x, y, nil) : nil
        }
        return loop(product, x, y, activation)
    }

    private func loop(_ product: CBody, _ x: [TensorType], _ y: TensorType, _ activation: (any ParametricActivation)?)
        -> CBody
    {
        var sum = "y0[i]"
        if addsBias {
            let inner = y.shape[(biasAxis(y) + 1)...].reduce(1, *), channels = y.shape[biasAxis(y)]
            sum += " + x2[\(inner == 1 ? "i" : "i / \(inner)") % \(channels)]"
        }
        if addsResidual { sum += " + x\(x.count - 1)[i]" }
        var math = CMath(y.element)
        let value = activation?.expression("v", &math) ?? "v"
        var body = product
        body.code +=
            "for (size_t i = 0; i < \(y.count); ++i) {\n    const \(y.element.cType) v = \(sum);\n    y0[i] = \(value);\n}\n"
        body.mathFunctions += math.functions.filter { !product.mathFunctions.contains($0) }
        return body
    }
}
