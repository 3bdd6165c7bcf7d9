import IR

extension Registry {
    /// Reductions of ONNX that are a plain one with something before or behind it.
    static let reductionImports: [ONNXImport] = [
        reduction("ReduceL1") { x, g, sum throws(ONNXImportError) in try sum(g.apply(Absolute(), x), &g) },
        reduction("ReduceL2") { x, g, sum throws(ONNXImportError) in
            let wide = try widened(x, &g)
            return try narrowed(g.apply(Sqrt(), sum(g.apply(Multiply(), wide, wide), &g)), like: x, &g)
        },
        reduction("ReduceSumSquare") { x, g, sum throws(ONNXImportError) in try sum(g.apply(Multiply(), x, x), &g) },
        reduction("ReduceLogSum") { x, g, sum throws(ONNXImportError) in
            try narrowed(g.apply(Log(), sum(widened(x, &g), &g)), like: x, &g)
        },
        ONNXImport("ReduceLogSumExp", elements: ElementType.numbers, refuses: "axes that are not constant") {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), wide = try widened(x, &g)
            guard let axes = try axes(of: node, g) else { return [x] }
            // Shifted by the maximum, so that no exponential overflows; the shift is dropped where it is not finite.
            let top = try g.apply(ReduceMax(axes: axes, keepsDimensions: true), wide)
            let isFinite = try g.apply(Less(), g.apply(Absolute(), top), g.constant(.infinity, like: top))
            let shift = try g.apply(Where(), isFinite, top, g.constant(0, like: top))
            let powers = try g.apply(Exp(), g.apply(Subtract(), wide, shift))
            let sum = try g.apply(ReduceSum(axes: axes, keepsDimensions: true), powers)
            var y = try g.apply(Add(), g.apply(Log(), sum), shift, name: node.name)
            if try node.int("keepdims", default: 1) == 0 {
                let shape = g.type(of: y).shape, dropped = axes.map { $0 < 0 ? $0 + shape.count : $0 }
                y = try g.apply(
                    Reshape(shape.indices.filter { !axes.isEmpty && !dropped.contains($0) }.map { shape[$0] }), y)
            }
            return [try narrowed(y, like: x, &g)]
        },
    ]

    private typealias Sum = (Value, inout GraphBuilder) throws(ONNXImportError) -> Value

    private static func reduction(
        _ opType: String,
        _ compute: @escaping @Sendable (Value, inout GraphBuilder, Sum) throws(ONNXImportError) -> Value
    ) -> ONNXImport {
        ONNXImport(opType, elements: ElementType.numbers, refuses: "axes that are not constant") {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), keeps = try node.int("keepdims", default: 1) != 0
            let axes = try axes(of: node, g)
            let sum: Sum = { (value, g) throws(ONNXImportError) in
                guard let axes else { return value }
                return try g.apply(ReduceSum(axes: axes, keepsDimensions: keeps), value, name: node.name)
            }
            return [try compute(x, &g, sum)]
        }
    }

    /// The axes, none meaning all; nil when nothing is to be reduced.
    private static func axes(of node: ONNXNode, _ g: GraphBuilder) throws(ONNXImportError) -> [Int]? {
        let axes = node.input(1) == nil ? try node.ints("axes") ?? [] : try node.integers(1, in: g, called: "axes")
        let keepsAll = try node.int("noop_with_empty_axes", default: 0) != 0
        return axes.isEmpty && keepsAll ? nil : axes
    }

    /// Integers as reals, for functions that integers do not have.
    private static func widened(_ x: Value, _ g: inout GraphBuilder) throws(ONNXImportError) -> Value {
        g.type(of: x).element.isFloatingPoint ? x : try g.apply(Cast(to: .f64), x)
    }

    private static func narrowed(_ y: Value, like x: Value, _ g: inout GraphBuilder) throws(ONNXImportError) -> Value {
        let element = g.type(of: x).element
        return g.type(of: y).element == element ? y : try g.apply(Cast(to: element), y)
    }
}
