import CKernels
import IR

/// The mean along axes; integers truncate.
///
/// - Shapes: `x: [any] → y: [the same with each axis 1, or left out]`. No axes means all of them.
public struct ReduceMean: Reduction {
    public static let mnemonic = "reduce_mean"
    public var axes: [Int] = []
    public var keepsDimensions = false

    public init() {}
    public init(axes: [Int], keepsDimensions: Bool = false) {
        self.axes = axes
        self.keepsDimensions = keepsDimensions
    }

    public func fold<R: Scalar>(_ values: [R]) -> R { values.reduce(0, +) / R(values.count) }
    public func fold(_ values: [Int64], _ element: ElementType) -> Int64 {
        values.isEmpty ? 0 : values.reduce(0, &+) / Int64(values.count)
    }
    public var isSum: Bool { true }
    public func accumulation(_ m: inout CMath, count: Int) -> (start: String, update: String, finish: String) {
        (
            m.literal(0), "acc += v;",
            m.element.isFloatingPoint ? "acc * \(m.literal(1 / Double(max(count, 1))))" : "acc / \(max(count, 1))"
        )
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let kept = try keptGradient(p, in: &g) else { return [nil] }
        let x = g.type(of: p.operands[0])
        let count = Double(x.count) / Double(max(g.type(of: kept).count, 1))
        return [try g.append(Multiply(), g.append(BroadcastTo(x.shape), kept), g.constant(1 / count, like: kept))]
    }
    public static var kernelCode: Int? { MARTLET_MEAN }
    public static var onnxName: (opType: String, axesAreOperandSince: Int) { ("ReduceMean", 18) }

    public static let specimens = [
        Specimen(ReduceMean(axes: [0, 2, 3], keepsDimensions: true), on: .f32(2, 3, 4, 5)),
        Specimen(ReduceMean(axes: [-1]), on: .f32(2, 3, 4)),
        Specimen(ReduceMean(axes: [1]), on: .f32(2, 1300), differentiable: false),
        Specimen(ReduceMean(), on: .f32(2, 3)), Specimen(ReduceMean(axes: [1, 3]), on: .f32(2, 3, 4, 5)),
    ]
}
