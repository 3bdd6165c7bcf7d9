import IR

/// An operator on two tensors that broadcast to each other: `y = f(a, b)` element by element.
///
/// - Shapes: `a: [A], b: [B] → y: [broadcast of A and B]`, one element type.
public protocol BinaryElementwise: Operator {
    func apply<R: Scalar>(_ a: R, _ b: R) -> R
    func apply(_ a: Int64, _ b: Int64, _ element: ElementType) -> Int64
    func expression(_ a: String, _ b: String, _ m: inout CMath) -> String
    static var elements: [ElementType] { get }
    /// The opcode of the executor's kernel, where it has one.
    static var kernelCode: Int? { get }
    static var onnxName: (opType: String, since: Int) { get }
    /// The element type of the result.
    func resultElement(_ operand: ElementType) -> ElementType
}

extension BinaryElementwise {
    public static var elements: [ElementType] { ElementType.numbers }
    public static var kernelCode: Int? { nil }
    public func resultElement(_ operand: ElementType) -> ElementType { operand }

    public var layoutRule: LayoutRule { .elementwise }
    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [0, 1].filter { x[$0] == y[0] } }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self)
        guard x[0].element == x[1].element, Self.elements.contains(x[0].element) else {
            throw ShapeError("\(Self.mnemonic) expects two operands of one type it takes, found \(x[0]) and \(x[1])")
        }
        let shape = try TensorType.broadcast(x[0].shape, x[1].shape, for: self)
        return [TensorType(resultElement(x[0].element), shape)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        if x[0].element.isFloatingPoint {
            let a = x[0].reals, b = x[1].reals
            var result: [R] = []
            result.reserveCapacity(y[0].count)
            forEachBroadcast(y[0].shape, [x[0].shape, x[1].shape]) { _, at in result.append(apply(a[at[0]], b[at[1]])) }
            return [ReferenceTensor(y[0], result)]
        }
        let a = x[0].integers, b = x[1].integers
        var result: [Int64] = []
        result.reserveCapacity(y[0].count)
        forEachBroadcast(y[0].shape, [x[0].shape, x[1].shape]) { _, at in
            result.append(apply(a[at[0]], b[at[1]], x[0].element))
        }
        return [ReferenceTensor(y[0], integers: result)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        Self.kernelCode.flatMap { .binary($0, x, y[0]) }
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        var math = CMath(x[0].element)
        _ = expression("a", "b", &math)
        return .elementwise(x, y[0], math: math.functions) { arguments in
            var math = CMath(x[0].element)
            return "(\(y[0].element.cType))(\(expression(arguments[0], arguments[1], &math)))"
        }
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm(Self.onnxName.opType, since: Self.onnxName.since)
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport(onnxName.opType, elements: elements) { node, g throws(ONNXImportError) in
                let a = try node.required(0), b = try node.aligned(a, try node.required(1), in: &g)
                return try importing { () throws(ShapeError) in [try g.append(Self(), a, b, name: node.name)] }
            }
        ]
    }
}
