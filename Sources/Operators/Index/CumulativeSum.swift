import IR

/// Running sums along an axis, optionally without the element itself, or from the back.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct CumulativeSum: Operator {
    public static let mnemonic = "cumulative_sum"
    public var axis = 0
    public var isExclusive = false
    public var isReversed = false

    public init() {}
    public init(axis: Int, isExclusive: Bool = false, isReversed: Bool = false) {
        self.axis = axis
        self.isExclusive = isExclusive
        self.isReversed = isReversed
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self)
        guard x.rank > 0, x.element != .bool else { throw ShapeError("cumulative_sum does not take \(x)") }
        _ = try TensorType.axis(axis, rank: x.rank, for: self)
        return [x]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let n = AxisParts(x[0].shape, axis)
        func sums<T>(_ values: [T], _ zero: T, _ add: (T, T) -> T) -> [T] {
            var result = values
            for line in n.lines {
                var sum = zero
                for step in 0..<n.size {
                    let at = line + (isReversed ? n.size - 1 - step : step) * n.inner
                    if isExclusive { result[at] = sum }
                    sum = add(sum, values[at])
                    if !isExclusive { result[at] = sum }
                }
            }
            return result
        }
        switch x[0].storage {
        case .real(let values): return [ReferenceTensor(y[0], sums(values, 0, +))]
        case .integer(let values): return [ReferenceTensor(y[0], integers: sums(values, 0, &+))]
        }
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        return [try g.append(CumulativeSum(axis: axis, isExclusive: isExclusive, isReversed: !isReversed), dy)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let n = AxisParts(x[0].shape, axis), add = "sum += x0[at];", store = "y0[at] = sum;"
        return CBody(
            """
            for (size_t a = 0; a < \(n.outer); ++a)
                for (size_t b = 0; b < \(n.inner); ++b) {
                    \(x[0].element.cType) sum = 0;
                    for (size_t k = 0; k < \(n.size); ++k) {
                        const size_t at = (a * \(n.size) + \(isReversed ? "\(n.size - 1) - k" : "k")) * \(n.inner) + b;
                        \(isExclusive ? store : add)
                        \(isExclusive ? add : store)
                    }
                }

            """)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm(
            "CumSum", since: 14, inputs: [.operand(0), .constant(Literal([axis], shape: []))],
            attributes: [("exclusive", .int(isExclusive ? 1 : 0)), ("reverse", .int(isReversed ? 1 : 0))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport(
                "CumSum", versions: 11...21, elements: ElementType.numbers, refuses: "an axis that is not constant"
            ) {
                node, g throws(ONNXImportError) in
                guard let axis = try node.integers(1, in: g, called: "axis").first else {
                    throw .malformed("the axis is empty")
                }
                let op = CumulativeSum(
                    axis: axis, isExclusive: try node.int("exclusive", default: 0) != 0,
                    isReversed: try node.int("reverse", default: 0) != 0)
                return [try g.apply(op, node.required(0), name: node.name)]
            }
        ]
    }

    public static let specimens = [
        Specimen(CumulativeSum(axis: 1), on: .f32(2, 4, 3)),
        Specimen(CumulativeSum(axis: -1, isExclusive: true, isReversed: true), on: .f32(2, 4)),
        Specimen(CumulativeSum(axis: 0, isReversed: true), on: .i64(5), differentiable: false),
    ]
}
