import IR

/// The product along axes.
///
/// - Shapes: `x: [any] → y: [the same with each axis 1, or left out]`. No axes means all of them.
public struct ReduceProduct: Reduction {
    public static let mnemonic = "reduce_product"
    public var axes: [Int] = []
    public var keepsDimensions = false

    public init() {}
    public init(axes: [Int], keepsDimensions: Bool = false) {
        self.axes = axes
        self.keepsDimensions = keepsDimensions
    }

    public func fold<R: Scalar>(_ values: [R]) -> R { values.reduce(1, *) }
    public func fold(_ values: [Int64], _ element: ElementType) -> Int64 { values.reduce(1, &*) }
    public func accumulation(_ m: inout CMath, count: Int) -> (start: String, update: String, finish: String) {
        (m.literal(1), "acc *= v;", "acc")
    }
    public static var onnxName: (opType: String, axesAreOperandSince: Int) { ("ReduceProd", 18) }

    public static let specimens = [
        Specimen(ReduceProduct(axes: [1], keepsDimensions: true), on: .f32(2, 3, 4), differentiable: false),
        Specimen(ReduceProduct(), on: .f32(2, 3), differentiable: false),
        Specimen(ReduceProduct(axes: [0, -1]), on: .i64(2, 3, 2), differentiable: false),
    ]
}
