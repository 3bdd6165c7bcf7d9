import IR

/// The position of the largest (or smallest) element along an axis, the first of equal ones or the last.
///
/// - Shapes: `x: [any] → y: i64 [the same with the axis 1, or left out]`.
public struct ArgExtreme: Operator {
    public static let mnemonic = "arg_extreme"
    public var axis = 0
    public var findsSmallest = false
    public var keepsDimension = true
    public var selectsLast = false

    public init() {}
    public init(axis: Int, findsSmallest: Bool = false, keepsDimension: Bool = true, selectsLast: Bool = false) {
        self.axis = axis
        self.findsSmallest = findsSmallest
        self.keepsDimension = keepsDimension
        self.selectsLast = selectsLast
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self)
        let axis = try TensorType.axis(axis, rank: x.rank, for: self)
        guard x.rank > 0, x.shape[axis] > 0 else {
            throw ShapeError("arg_extreme: \(x) has nothing along axis \(axis)")
        }
        var shape = x.shape
        if keepsDimension { shape[axis] = 1 } else { shape.remove(at: axis) }
        return [TensorType(.i64, shape)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let n = AxisParts(x[0].shape, axis)
        func positions<T: Comparable>(_ values: [T]) -> [Int64] {
            n.lines.map { line in
                var best = 0
                for k in 1..<max(n.size, 1) {
                    let (a, b) = (values[line + k * n.inner], values[line + best * n.inner])
                    if (findsSmallest ? a < b : a > b) || (selectsLast && a == b) { best = k }
                }
                return Int64(best)
            }
        }
        switch x[0].storage {
        case .real(let values): return [ReferenceTensor(y[0], integers: positions(values))]
        case .integer(let values): return [ReferenceTensor(y[0], integers: positions(values))]
        }
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let n = AxisParts(x[0].shape, axis)
        let relation = (findsSmallest ? "<" : ">") + (selectsLast ? "=" : "")
        return CBody(
            """
            for (size_t a = 0; a < \(n.outer); ++a)
                for (size_t b = 0; b < \(n.inner); ++b) {
                    const \(x[0].element.cType) *x = x0 + a * \(n.size * n.inner) + b;
                    size_t best = 0;
                    for (size_t k = 1; k < \(n.size); ++k) if (x[k * \(n.inner)] \(relation) x[best * \(n.inner)]) best = k;
                    y0[a * \(n.inner) + b] = (int64_t)best;
                }

            """)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm(
            findsSmallest ? "ArgMin" : "ArgMax", since: 13,
            attributes: [
                ("axis", .int(axis)), ("keepdims", .int(keepsDimension ? 1 : 0)),
                ("select_last_index", .int(selectsLast ? 1 : 0)),
            ])
    }
    public static var onnxImports: [ONNXImport] {
        [("ArgMax", false), ("ArgMin", true)].map { name, smallest in
            ONNXImport(name, elements: ElementType.numbers) { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                let op = ArgExtreme(
                    axis: try node.axis(default: 0, rank: g.type(of: x).rank), findsSmallest: smallest,
                    keepsDimension: try node.int("keepdims", default: 1) != 0,
                    selectsLast: try node.int("select_last_index", default: 0) != 0)
                return [try g.apply(op, x, name: node.name)]
            }
        }
    }

    public static let specimens = [
        Specimen(ArgExtreme(axis: 1), on: .f32(2, 5, 3), differentiable: false),
        Specimen(
            ArgExtreme(axis: -1, findsSmallest: true, keepsDimension: false), on: .f32(2, 5), differentiable: false),
        Specimen(ArgExtreme(axis: 0, selectsLast: true), on: .i64(6, 2), differentiable: false),
    ]
}

/// A shape as what lies before an axis, along it and behind it.
struct AxisParts {
    let outer, size, inner: Int

    init(_ shape: [Int], _ axis: Int) {
        let axis = axis < 0 ? axis + shape.count : axis
        (outer, size, inner) = (shape[..<axis].reduce(1, *), shape[axis], shape[(axis + 1)...].reduce(1, *))
    }

    /// Where each line along the axis starts; its elements are `inner` apart.
    var lines: [Int] { (0..<outer).flatMap { a in (0..<inner).map { a * size * inner + $0 } } }
}
