import CKernels
import IR

/// 1 where `low < x < high`, else 0, elementwise. The building block of derivatives with kinks; its own is zero.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Indicator: Operator {
    public static let mnemonic = "indicator"
    public var low = -Double.infinity
    public var high = Double.infinity

    public init() {}
    public init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }

    public var layoutRule: LayoutRule { .elementwise }
    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [0] }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        [try x.single(for: self).requireFloat(for: self)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        [ReferenceTensor(y[0], x[0].reals.map { Double($0) > low && Double($0) < high ? 1 : 0 })]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? { [nil] }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        .unary(MARTLET_INDICATOR, [low, high], x[0], y[0])
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let m = CMath(x[0].element)
        return .elementwise(x, y[0]) { "(\($0[0]) > \(m.literal(low)) && \($0[0]) < \(m.literal(high)))" }
    }

    public static let specimens = [Specimen(Indicator(low: -1, high: 1), on: .f32(2, 3, 4), kinks: [-1, 1])]
}
