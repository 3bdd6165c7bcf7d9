import CKernels
import IR

/// The smallest element along axes. The gradient goes to every element equal to it.
///
/// - Shapes: `x: [any] → y: [the same with each axis 1, or left out]`. No axes means all of them.
public struct ReduceMin: Reduction {
    public static let mnemonic = "reduce_min"
    public var axes: [Int] = []
    public var keepsDimensions = false

    public init() {}
    public init(axes: [Int], keepsDimensions: Bool = false) {
        self.axes = axes
        self.keepsDimensions = keepsDimensions
    }

    public func fold<R: Scalar>(_ values: [R]) -> R { values.reduce(R.infinity) { $1 < $0 ? $1 : $0 } }
    public func fold(_ values: [Int64], _ element: ElementType) -> Int64 {
        element == .u64 ? Int64(bitPattern: values.map { UInt64(bitPattern: $0) }.min() ?? 0) : values.min() ?? 0
    }
    public func accumulation(_ m: inout CMath, count: Int) -> (start: String, update: String, finish: String) {
        let start = m.element.isFloatingPoint ? "INFINITY" : m.element.largestLiteral
        return (start, "if (v < acc) acc = v;", "acc")
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        try extremePullback(p, in: &g)
    }
    public static var kernelCode: Int? { MARTLET_MIN }
    public static var onnxName: (opType: String, axesAreOperandSince: Int) { ("ReduceMin", 18) }

    public static let specimens = [
        Specimen(ReduceMin(axes: [0, 2, 3], keepsDimensions: true), on: .f32(2, 3, 4, 5)),
        Specimen(ReduceMin(axes: [-1]), on: .f32(2, 3, 4)),
        Specimen(ReduceMin(), on: .f32(2, 3)), Specimen(ReduceMin(axes: [1, 3]), on: .f32(2, 3, 4, 5)),
        Specimen(ReduceMin(axes: [0]), on: .i32(3, 2)),
    ]
}
