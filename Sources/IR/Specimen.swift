/// A small use of an operator on which its conformance is tested.
public struct Specimen: Sendable {
    /// What an operand holds in tests.
    public enum Operand: Sendable {
        /// Reals drawn uniformly from a range.
        case uniform(TensorType, ClosedRange<Double>)
        /// Integers drawn uniformly from a range.
        case integers(TensorType, ClosedRange<Int>)
        /// Exactly this.
        case literal(Literal)

        public var type: TensorType {
            switch self {
            case .uniform(let type, _), .integers(let type, _): type
            case .literal(let literal): literal.type
            }
        }
    }

    public var op: any Operator
    public var operands: [Operand]
    /// Values near which the operator is not differentiable; draws keep 0.05 away from them.
    public var kinks: [Double]
    /// Whether the gradient is tested.
    public var isDifferentiable: Bool

    /// Floating-point operands are drawn from `range`, integers from 0 to 3.
    public init(
        _ op: any Operator, on types: TensorType..., range: ClosedRange<Double> = -2...2, kinks: [Double] = [],
        differentiable: Bool = true
    ) {
        self.init(
            op,
            operands: types.map { type in
                type.element.isFloatingPoint
                    ? .uniform(type, range) : .integers(type, type.element == .bool ? 0...1 : 0...3)
            }, kinks: kinks, differentiable: differentiable)
    }

    public init(_ op: any Operator, operands: [Operand], kinks: [Double] = [], differentiable: Bool = true) {
        self.op = op
        self.operands = operands
        self.kinks = kinks
        isDifferentiable = differentiable
    }
}
