import IR

/// The `count` largest (or smallest) elements along an axis with their positions, in order; of equal ones the first.
///
/// - Shapes: `x: [… D …] → values: [… k …], positions: i64 [… k …]`.
public struct TopK: Operator {
    public static let mnemonic = "top_k"
    public var axis = -1
    public var count = 1
    public var findsSmallest = false

    public init() {}
    public init(axis: Int, count: Int, findsSmallest: Bool = false) {
        self.axis = axis
        self.count = count
        self.findsSmallest = findsSmallest
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self)
        let axis = try TensorType.axis(axis, rank: x.rank, for: self)
        guard x.rank > 0, count >= 0, count <= x.shape[axis] else {
            throw ShapeError("top_k: \(x) has no \(count) elements along axis \(axis)")
        }
        var shape = x.shape
        shape[axis] = count
        return [x.with(shape: shape), TensorType(.i64, shape)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let n = AxisParts(x[0].shape, axis)
        func order<T: Comparable>(_ values: [T]) -> [[Int]] {
            n.lines.map { line in
                let sorted = (0..<n.size).sorted { p, q in
                    let (a, b) = (values[line + p * n.inner], values[line + q * n.inner])
                    return a == b ? p < q : findsSmallest ? a < b : a > b
                }
                return Array(sorted.prefix(count))
            }
        }
        let orders: [[Int]]
        switch x[0].storage {
        case .real(let values): orders = order(values)
        case .integer(let values): orders = order(values)
        }
        var sources = [Int](repeating: 0, count: y[0].count), positions = [Int64](repeating: 0, count: y[0].count)
        for (index, (line, order)) in zip(n.lines, orders).enumerated() {
            for (k, position) in order.enumerated() {
                let at = (index / n.inner * count + k) * n.inner + index % n.inner
                sources[at] = line + position * n.inner
                positions[at] = Int64(position)
            }
        }
        return [x[0].picked(y[0], sources), ReferenceTensor(y[1], integers: positions)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let n = AxisParts(x[0].shape, axis)
        let relation = findsSmallest ? "<" : ">"
        // Insertion into the sorted list so far: strict comparison keeps equal elements in order.
        return CBody(
            """
            for (size_t a = 0; a < \(n.outer); ++a)
                for (size_t b = 0; b < \(n.inner); ++b) {
                    const \(x[0].element.cType) *x = x0 + a * \(n.size * n.inner) + b;
                    \(x[0].element.cType) *v = y0 + a * \(count * n.inner) + b;
                    int64_t *p = y1 + a * \(count * n.inner) + b;
                    size_t kept = 0;
                    for (size_t k = 0; k < \(n.size); ++k) {
                        const \(x[0].element.cType) new = x[k * \(n.inner)];
                        size_t at = kept;
                        while (at > 0 && new \(relation) v[(at - 1) * \(n.inner)]) --at;
                        if (at >= \(count)) continue;
                        for (size_t i = kept < \(count) ? kept++ : kept - 1; i > at; --i) {
                            v[i * \(n.inner)] = v[(i - 1) * \(n.inner)];
                            p[i * \(n.inner)] = p[(i - 1) * \(n.inner)];
                        }
                        v[at * \(n.inner)] = new;
                        p[at * \(n.inner)] = (int64_t)k;
                    }
                }

            """)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm(
            "TopK", since: 11, inputs: [.operand(0), .constant(Literal([count]))],
            attributes: [("axis", .int(axis)), ("largest", .int(findsSmallest ? 0 : 1))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("TopK", elements: ElementType.numbers, refuses: "a count that is not constant") {
                node, g throws(ONNXImportError) in
                let x = try node.required(0)
                let count =
                    node.opset < 10
                    ? try node.int("k", default: 1) : try node.integers(1, in: g, called: "k").first ?? 1
                let op = TopK(
                    axis: try node.axis(default: -1, rank: g.type(of: x).rank), count: count,
                    findsSmallest: try node.int("largest", default: 1) == 0)
                return try importing { () throws(ShapeError) in try g.appendAll(op, [x], name: node.name) }
            }
        ]
    }

    public static let specimens = [
        Specimen(TopK(axis: -1, count: 3), on: .f32(2, 7), differentiable: false),
        Specimen(TopK(axis: 0, count: 2, findsSmallest: true), on: .i64(5, 3), differentiable: false),
    ]
}
