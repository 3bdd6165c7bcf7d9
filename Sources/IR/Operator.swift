/// Everything an operator can say about itself.
///
/// `infer` is required, and either ``evaluate(_:_:)-rk8x`` (a primitive) or `decompose` (a composite) gives the
/// meaning. Every other facet defaults to that of the decomposition, so a correct operator is short, and speed or a
/// nicer export is added facet by facet.
///
/// Stored properties are the attributes; the text form, equality and files derive from them. An operator has an
/// `init()` with the default of each; defaults are not printed.
public protocol Operator: Codable, Hashable, Sendable {
    /// The name in the text form of graphs, in snake case.
    static var mnemonic: String { get }

    init()

    /// The types of the results. Layouts are ignored here: operands count as plain, results are plain.
    func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType]

    /// The definition, in plain loops: results of types `y` from operands `x`. `nil` when the operator is a composite.
    func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]?

    /// The definition in terms of other operators. `nil` when the operator is a primitive.
    func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]?

    /// Gradients with respect to the operands, as operators appended to `g`; `nil` entries have none.
    ///
    /// Returns `nil` when there is no pullback of its own: that of the decomposition is taken then.
    func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]?

    /// Multiply-accumulate operations of one execution. `nil`: those of the decomposition.
    func macs(_ x: [TensorType], _ y: [TensorType]) -> Int?

    /// The kernel of the training executor for these types (layouts included), when there is one.
    func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall?

    /// The body of a portable C function for these types, when there is one.
    func c(_ x: [TensorType], _ y: [TensorType]) -> CBody?

    /// Which layouts operands and results may have.
    var layoutRule: LayoutRule { get }

    /// Operands whose memory result 0 may reuse, because element `i` of the result depends on element `i` of the
    /// operand alone (types being equal).
    func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int]

    /// True when result 0 is operand 0's memory read with another type (plain layout).
    var isView: Bool { get }

    /// Where in operand 0's memory result 0 lies, in bytes, when it is a contiguous part of it; `nil` when it is not.
    /// The default is 0 for a view.
    func viewOffset(_ x: [TensorType], _ y: [TensorType]) -> Int?

    /// Where in result 0's memory each operand lies, in bytes, when the result is nothing but the operands one behind
    /// the other: a planner may then let operands be made in place. Such an operator's kernel and C leave out an operand
    /// whose pointer already is its place.
    func placedOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int]?

    /// True when the operator only has a meaning while training, and may not be deployed.
    var isTrainingOnly: Bool { get }

    /// How the operator is written as one ONNX node; `nil`: write its decomposition.
    func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm?

    /// The ONNX operators that are read as this one.
    static var onnxImports: [ONNXImport] { get }

    /// Small well-typed uses, on which the conformance suite runs.
    static var specimens: [Specimen] { get }
}

/// The operands, results and gradients of the results, of an operator whose gradient is asked for.
public struct Pullback: Sendable {
    public var operands: [Value]
    public var results: [Value]
    /// Gradients with respect to the results; `nil` where the loss does not depend on one.
    public var gradients: [Value?]
    /// Whether each operand's gradient is needed. A pullback may leave out what is not.
    public var needed: [Bool]

    public init(operands: [Value], results: [Value], gradients: [Value?], needed: [Bool]) {
        self.operands = operands
        self.results = results
        self.gradients = gradients
        self.needed = needed
    }
}

/// Which memory layouts an operator can work on.
public enum LayoutRule: Hashable, Sendable {
    /// Everything plain.
    case plain
    /// Any layout, the same for the result and every operand of the result's shape; smaller operands (broadcast) are
    /// read by logical index and may be plain.
    case elementwise
    /// Any layout, the same for all operands and results of rank 4: that of the neighbours.
    case following
    /// Image operands and results (rank 4) channels-last; other operands plain.
    case image
    /// The operands and results with these indices channels-last, everything else (filters) plain.
    case images(operands: [Int], results: [Int])
}

extension Operator {
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? { nil }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? { nil }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? { nil }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { nil }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? { nil }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? { nil }
    public var layoutRule: LayoutRule { .plain }
    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [] }
    public var isView: Bool { false }
    public func viewOffset(_ x: [TensorType], _ y: [TensorType]) -> Int? { isView ? 0 : nil }
    public func placedOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int]? { nil }
    public var isTrainingOnly: Bool { false }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? { nil }
    public static var onnxImports: [ONNXImport] { [] }
    public static var specimens: [Specimen] { [] }

    public var mnemonic: String { Self.mnemonic }

    /// Whether two operators are of the same type with the same attributes.
    public func isEqual(to other: any Operator) -> Bool { (other as? Self) == self }

    /// Attributes that differ from the default, in order of declaration.
    ///
    /// - Throws: ``AttributeError`` for a property that cannot be written as an attribute.
    public func attributes() throws -> [Attribute] {
        let defaults = try AttributeCoder.attributes(of: Self())
        return try zip(AttributeCoder.attributes(of: self), defaults).filter { $0 != $1 }.map(\.0)
    }

    /// The operator with the given attributes, the rest being defaults.
    ///
    /// - Throws: ``AttributeError`` for an unknown name or a wrong type.
    public init(attributes: [Attribute]) throws {
        self = try AttributeCoder.decode(Self.self, from: attributes, defaults: Self())
    }

    /// The types of the results when operands may carry layouts; names the operator and node in errors.
    public func inferPlain(_ x: [TensorType], at name: String? = nil) throws(ShapeError) -> [TensorType] {
        do throws(ShapeError) {
            let results = try infer(x.map(\.plain))
            if let large = results.first(where: { !$0.fitsInMemory }) {
                throw ShapeError("\(mnemonic): a result of \(large.element.rawValue)\(large.shape) is too large")
            }
            return results
        } catch {
            var placed = error
            placed.place = error.place ?? name.map { AttributeValue.quote($0) }
            throw placed
        }
    }
}

/// An operator without operands whose result type is part of it (a parameter, a constant).
public protocol SourceOperator: Operator {
    var type: TensorType { get set }
}
