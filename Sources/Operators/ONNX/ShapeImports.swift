import IR

extension Registry {
    /// Operators of ONNX that only say or make shapes; they are decided while the graph is read.
    static let shapeImports: [ONNXImport] = [
        ONNXImport("Shape", elements: ElementType.allCases) { node, g throws(ONNXImportError) in
            let shape = g.type(of: try node.required(0)).shape
            func bound(_ name: String, _ otherwise: Int) throws(ONNXImportError) -> Int {
                let value = try node.int(name, default: otherwise)
                return min(max(value < 0 ? value + shape.count : value, 0), shape.count)
            }
            let start = try bound("start", 0), end = try bound("end", shape.count)
            return [g.constant(Literal(start < end ? Array(shape[start..<end]) : []))]
        },
        ONNXImport("Size", elements: ElementType.allCases) { node, g throws(ONNXImportError) in
            [g.constant(Literal([g.type(of: try node.required(0)).count], shape: []))]
        },
        ONNXImport("ConstantOfShape", versions: 9...21, elements: [.i64], refuses: "a shape that is not constant") {
            node, g throws(ONNXImportError) in
            let value = try node.tensor("value") ?? Literal([0] as [Float])
            guard value.count == 1 else { throw .malformed("attribute 'value' should have one element") }
            let scalar = g.constant(Literal(value.element, [], bytes: value.bytes))
            return [try g.broadcast(scalar, to: try node.integers(0, in: g, called: "shape"))]
        },
        ONNXImport(
            "Range", versions: 11...21, elements: [.f32, .f64, .i16, .i32, .i64],
            refuses: "bounds that are not constant"
        ) {
            node, g throws(ONNXImportError) in
            var bounds: [Literal] = []
            for index in 0..<3 {
                guard let literal = g.constant(of: try node.required(index)), literal.count == 1 else {
                    throw .unsupported("Range with bounds that are not constant")
                }
                bounds.append(literal)
            }
            let element = bounds[0].element
            guard bounds.allSatisfy({ $0.element == element }) else {
                throw .malformed("the bounds have different types")
            }
            if element.isFloatingPoint {
                let (start, limit, step) = (bounds[0].reals[0], bounds[1].reals[0], bounds[2].reals[0])
                guard step != 0, ((limit - start) / step).isFinite else {
                    throw .malformed("the step is zero or not finite")
                }
                let count = try size(of: max(0, ((limit - start) / step).rounded(.up)))
                return [g.constant(Literal(element, [count], reals: (0..<count).map { start + Double($0) * step }))]
            }
            let (start, limit, step) = (bounds[0].integers[0], bounds[1].integers[0], bounds[2].integers[0])
            guard step != 0 else { throw .malformed("the step is zero") }
            let count = try size(of: max(0, ((Double(limit) - Double(start)) / Double(step)).rounded(.up)))
            return [g.constant(Literal(element, [count], integers: (0..<count).map { start &+ Int64($0) &* step }))]
        },
        ONNXImport("EyeLike", versions: 9...21, elements: ElementType.numbers + [.bool]) {
            node, g throws(ONNXImportError) in
            let x = g.type(of: try node.required(0))
            guard x.rank == 2 else { throw .malformed("operand 0 should be a matrix, found \(x)") }
            let code = try node.int("dtype", default: x.element.onnxCode), k = try node.int("k", default: 0)
            guard let element = ElementType(onnxCode: code) else { throw .unsupported("EyeLike of ONNX type \(code)") }
            let ones = (0..<x.count).map { Int64($0 % x.shape[1] == $0 / x.shape[1] + k ? 1 : 0) }
            return [g.constant(Literal(element, x.shape, integers: ones))]
        },
        ONNXImport("Unsqueeze", elements: ElementType.allCases, refuses: "axes that are not constant") {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), shape = g.type(of: x).shape
            let given = node.opset >= 13 ? try node.integers(1, in: g, called: "axes") : try node.ints("axes") ?? []
            let rank = shape.count + given.count
            let axes = Set(given.map { $0 < 0 ? $0 + rank : $0 })
            guard axes.count == given.count, axes.allSatisfy((0..<rank).contains) else {
                throw .malformed("axes \(given) do not fit a result of rank \(rank)")
            }
            var rest = shape[...]
            return try g.reshaped(x, (0..<rank).map { axes.contains($0) ? 1 : rest.removeFirst() }, node)
        },
        ONNXImport("Squeeze", elements: ElementType.allCases, refuses: "axes that are not constant") {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), shape = g.type(of: x).shape
            let given: [Int]? =
                node.opset < 13
                ? try node.ints("axes") : node.input(1) == nil ? nil : try node.integers(1, in: g, called: "axes")
            let axes = (given ?? shape.indices.filter { shape[$0] == 1 }).map { $0 < 0 ? $0 + shape.count : $0 }
            guard axes.allSatisfy({ shape.indices.contains($0) && shape[$0] == 1 }) else {
                throw .malformed("axes \(given ?? []) of shape \(shape) are not all of size 1")
            }
            return try g.reshaped(x, shape.indices.filter { !axes.contains($0) }.map { shape[$0] }, node)
        },
        ONNXImport("Split", elements: ElementType.allCases, refuses: "sizes that are not constant") {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), shape = g.type(of: x).shape
            let axis = try node.axis(default: 0, rank: shape.count)
            var sizes =
                node.opset < 13
                ? try node.ints("split") : node.input(1) == nil ? nil : try node.integers(1, in: g, called: "split")
            if sizes == nil {
                // Equal parts; the last is smaller where they do not fit.
                let parts = try node.int("num_outputs", default: node.outputs.count)
                guard parts > 0, parts <= max(shape[axis], node.outputs.count) else {
                    throw .malformed("num_outputs \(parts) does not fit dimension \(axis) of \(shape)")
                }
                let part = (shape[axis] + parts - 1) / parts
                sizes = (0..<parts).map { max(0, min(part, shape[axis] - $0 * part)) }
            }
            guard let sizes, sizes.allSatisfy({ $0 >= 0 }), sizes.reduce(0, +) == shape[axis],
                sizes.count >= node.outputs.count
            else {
                throw .malformed("the parts \(sizes ?? []) do not make up dimension \(axis) of \(shape)")
            }
            return try importing { () throws(ShapeError) in
                var parts: [Value] = []
                var start = 0
                for size in sizes {
                    parts.append(
                        try g.append(Slice(axis: axis, start: size == 0 ? 0 : start, size: size, of: shape), x))
                    start += size
                }
                return parts
            }
        },
        ONNXImport("Tile", versions: 6...21, elements: ElementType.allCases, refuses: "repeats that are not constant") {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), shape = g.type(of: x).shape
            let repeats = try node.integers(1, in: g, called: "repeats")
            guard repeats.count == shape.count, repeats.allSatisfy({ $0 >= 0 }) else {
                throw .malformed("repeats \(repeats) do not fit shape \(shape)")
            }
            // [A, B] becomes [1, A, 1, B], is broadcast to [r, A, s, B] and read as [r A, s B].
            let wide = zip(repeats, shape).flatMap { [$0, $1] }
            return try importing { () throws(ShapeError) in
                let lifted = try g.append(Reshape(shape.flatMap { [1, $0] }), x)
                let repeated = try g.append(BroadcastTo(wide), lifted)
                return [try g.append(Reshape(zip(repeats, shape).map(*)), repeated, name: node.name)]
            }
        },
    ]

    /// A count of elements that fits in memory.
    private static func size(of count: Double) throws(ONNXImportError) -> Int {
        guard count < 0x1p28 else { throw .unsupported("a tensor of \(count) elements") }
        return Int(count)
    }
}
