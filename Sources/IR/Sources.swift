/// A named tensor that the caller keeps between runs: a weight, a running statistic. The node's name is the parameter's.
public struct Parameter: SourceOperator {
    public static let mnemonic = "parameter"
    public var type: TensorType {
        get { TensorType(element, shape) }
        set { (element, shape) = (newValue.element, newValue.shape) }
    }
    var element = ElementType.f32
    var shape: [Int] = []

    public init() {}
    public init(_ type: TensorType) { self.type = type }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        _ = try x.expect(0, for: self)
        return [type]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
}

/// A tensor known when the graph is built.
public struct Constant: SourceOperator {
    public static let mnemonic = "constant"
    public var literal: Literal
    public var type: TensorType {
        get { literal.type }
        set { literal = Literal(newValue.element, newValue.shape, bytes: literal.bytes) }
    }

    public init() { literal = Literal([Float](), shape: [0]) }
    public init(_ literal: Literal) { self.literal = literal }

    public init(from decoder: any Decoder) throws {
        throw AttributeError("a constant is read by the parser of graphs alone")
    }
    public func encode(to encoder: any Encoder) throws {
        throw AttributeError("a constant is written by the printer of graphs alone")
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        _ = try x.expect(0, for: self)
        return [literal.type]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        [ReferenceTensor(literal)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
}
