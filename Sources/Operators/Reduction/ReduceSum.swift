import CKernels
import IR

/// The sum along axes.
///
/// - Shapes: `x: [any] → y: [the same with each axis 1, or left out]`. No axes means all of them.
public struct ReduceSum: Reduction {
    public static let mnemonic = "reduce_sum"
    public var axes: [Int] = []
    public var keepsDimensions = false

    public init() {}
    public init(axes: [Int], keepsDimensions: Bool = false) {
        self.axes = axes
        self.keepsDimensions = keepsDimensions
    }

    public func fold<R: Scalar>(_ values: [R]) -> R { values.reduce(0, +) }
    public func fold(_ values: [Int64], _ element: ElementType) -> Int64 { values.reduce(0, &+) }
    public var isSum: Bool { true }
    public func accumulation(_ m: inout CMath, count: Int) -> (start: String, update: String, finish: String) {
        (m.literal(0), "acc += v;", "acc")
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let kept = try keptGradient(p, in: &g) else { return [nil] }
        let x = g.type(of: p.operands[0])
        return [try g.append(BroadcastTo(x.shape), kept)]
    }
    public static var kernelCode: Int? { MARTLET_SUM }
    public static var onnxName: (opType: String, axesAreOperandSince: Int) { ("ReduceSum", 13) }

    public static let specimens = [
        Specimen(ReduceSum(axes: [0, 2, 3], keepsDimensions: true), on: .f32(2, 3, 4, 5)),
        Specimen(ReduceSum(axes: [-1]), on: .f32(2, 3, 4)),
        Specimen(ReduceSum(), on: .f32(2, 3)), Specimen(ReduceSum(axes: [1, 3]), on: .f32(2, 3, 4, 5)),
        Specimen(ReduceSum(axes: [0]), on: .i32(3, 2)),
    ]
}
