import CKernels
import IR

/// An operator that maps every element by itself: `y = f(x)`.
///
/// - Shapes: `x: [any] → y: [same]`.
public protocol UnaryElementwise: Operator {
    /// The function itself.
    func apply<R: Scalar>(_ x: R) -> R
    /// The function on integers, for operators that take them.
    func apply(_ x: Int64) -> Int64
    /// The C expression of the function of `x`, an expression without side effects that may be repeated.
    func expression(_ x: String, _ m: inout CMath) -> String
    /// `dy/dx` as operators, from operand and result.
    func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value
    /// Element types that are taken.
    static var elements: [ElementType] { get }
    /// The name and version of the ONNX operator, and its attributes.
    static var onnxName: (opType: String, since: Int) { get }
    var onnxAttributes: [(name: String, value: ONNXAttribute)] { get }
    /// The opcode of the executor's kernel, where it has one.
    static var kernelCode: Int? { get }
    /// Reads the attributes; the default takes none.
    init(onnx node: ONNXNode) throws(ONNXImportError)
}

extension UnaryElementwise {
    public static var elements: [ElementType] { ElementType.floats }
    public var onnxAttributes: [(name: String, value: ONNXAttribute)] { [] }
    public init(onnx node: ONNXNode) throws(ONNXImportError) { self.init() }
    public static var kernelCode: Int? { nil }
    public func apply(_ x: Int64) -> Int64 { Int64(saturating: apply(Double(x))) }

    public var layoutRule: LayoutRule { .elementwise }
    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [0] }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let operand = try x.single(for: self)
        guard Self.elements.contains(operand.element) else {
            throw ShapeError(
                "\(Self.mnemonic) takes \(Self.elements.map(\.rawValue).joined(separator: ", ")), found \(operand)")
        }
        return [operand]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        switch x[0].storage {
        case .real(let values): [ReferenceTensor(y[0], values.map { apply($0) })]
        case .integer(let values): [ReferenceTensor(y[0], integers: values.map { apply($0) })]
        }
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        let gradient = UnaryGradient(of: self)
        if gradient.isKnown { return [try g.append(gradient, p.operands[0], dy)] }
        let slope = try derivative(p.operands[0], p.results[0], in: &g)
        return [try g.append(Multiply(), dy, slope)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        Self.kernelCode.flatMap { .unary($0, (self as? any ParametricActivation)?.parameters ?? [], x[0], y[0]) }
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        var math = CMath(x[0].element)
        let text = expression("v", &math)
        return CBody(
            "for (size_t i = 0; i < \(y[0].count); ++i) {\n    const \(x[0].element.cType) v = x0[i];\n    y0[i] = (\(y[0].element.cType))(\(text));\n}\n",
            mathFunctions: math.functions)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm(Self.onnxName.opType, since: Self.onnxName.since, attributes: onnxAttributes)
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport(onnxName.opType, elements: elements) { node, g throws(ONNXImportError) in
                let op = try Self(onnx: node), x = try node.required(0)
                return try importing { () throws(ShapeError) in [try g.append(op, x, name: node.name)] }
            }
        ]
    }
}

/// The gradient of an activation in one operator: `dx = dy · f′(x)`.
///
/// One operator for all of them, so that a fused kernel serves training; its meaning is the product it decomposes to.
///
/// - Shapes: `x: [any], dy: [same] → dx: [same]`.
public struct UnaryGradient: Operator {
    public static let mnemonic = "unary_gradient"
    /// The mnemonic of the function.
    public var function = "relu"
    /// The function's attributes, where it has any.
    public var attributes: [Double] = []

    public init() {}
    public init(of op: some UnaryElementwise) {
        function = op.mnemonic
        attributes = (op as? any ParametricActivation)?.parameters ?? []
    }

    /// Functions that have a fused gradient.
    static let functions: [String: any ParametricActivation.Type] = [
        Relu.mnemonic: Relu.self, Clip.mnemonic: Clip.self, Sigmoid.mnemonic: Sigmoid.self, Tanh.mnemonic: Tanh.self,
        HardSigmoid.mnemonic: HardSigmoid.self, HardSwish.mnemonic: HardSwish.self, Silu.mnemonic: Silu.self,
        Gelu.mnemonic: Gelu.self, Elu.mnemonic: Elu.self, LeakyRelu.mnemonic: LeakyRelu.self,
    ]
    var isKnown: Bool { Self.functions[function] != nil }

    public var layoutRule: LayoutRule { .elementwise }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self)
        guard x[0] == x[1], isKnown else {
            throw ShapeError("unary_gradient of '\(function)' expects two equal types, found \(x[0]) and \(x[1])")
        }
        return [x[0]]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        guard let type = Self.functions[function] else { throw ShapeError("unary_gradient of unknown '\(function)'") }
        return [try product(make(type), x, in: &g)]
    }
    private func make<A: ParametricActivation>(_ type: A.Type) -> any UnaryElementwise {
        type.init(parameters: attributes)
    }
    private func product(_ f: some UnaryElementwise, _ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> Value
    {
        let y = try g.append(f, x[0])
        return try g.append(Multiply(), x[1], f.derivative(x[0], y, in: &g))
    }
    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [1, 0] }
    public var isTrainingOnly: Bool { true }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard let code = Self.functions[function]?.kernelCode, x[0] == y[0], x[1] == y[0] else { return nil }
        guard var call = KernelCall.unary(code, attributes, x[0], y[0]) else { return nil }
        call.function = martlet_unary_gradient
        return call
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static var specimens: [Specimen] {
        functions.keys.sorted().map { name in
            var op = UnaryGradient()
            op.function = name
            op.attributes =
                name == "clip"
                ? [-1, 1]
                : name == "leaky_relu" ? [0.1] : name == "elu" ? [1] : name == "hard_sigmoid" ? [0.2, 0.5] : []
            return Specimen(
                op, on: .f32(2, 3, 4, 5), .f32(2, 3, 4, 5), range: -4...4, kinks: [-3, -2.5, -1, 0, 1, 2.5, 3])
        }
    }
}

/// An activation that may be fused into its producer, or whose gradient is one kernel.
public protocol ParametricActivation: UnaryElementwise {
    /// The attributes, in order of declaration.
    var parameters: [Double] { get }
    init(parameters: [Double])
}

extension ParametricActivation {
    public var parameters: [Double] { [] }
    public init(parameters: [Double]) { self.init() }
}
