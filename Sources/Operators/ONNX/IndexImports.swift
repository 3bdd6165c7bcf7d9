import IR

extension Registry {
    /// Rearrangements of ONNX that are a few others.
    static let indexImports: [ONNXImport] = [
        ONNXImport(
            "Trilu", versions: 14...21, elements: ElementType.allCases, refuses: "a diagonal that is not constant"
        ) {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), shape = g.type(of: x).shape
            guard shape.count >= 2 else { throw .malformed("operand 0 should be matrices, found shape \(shape)") }
            let k = node.input(1) == nil ? 0 : try node.integers(1, in: g, called: "k").first ?? 0
            let isUpper = try node.int("upper", default: 1) != 0
            let (rows, columns) = (shape[shape.count - 2], shape[shape.count - 1])
            let kept = (0..<rows * columns).map { at -> Int64 in
                let offset = at % max(columns, 1) - at / max(columns, 1)
                return (isUpper ? offset >= k : offset <= k) ? 1 : 0
            }
            let mask = g.constant(Literal(.bool, [rows, columns], integers: kept))
            return [try g.apply(Where(), mask, x, g.constant(0, like: x), name: node.name)]
        },
        ONNXImport("OneHot", versions: 9...21, elements: ElementType.numbers, refuses: "a depth that is not constant") {
            node, g throws(ONNXImportError) in
            let operand = try node.required(0), values = try node.required(2)
            guard let literal = g.constant(of: try node.required(1)), literal.count == 1 else {
                throw .unsupported("depth (operand 1) depends on data; only constants can be compiled")
            }
            let depth = Int(literal.integers[0])
            let indices = try g.apply(Cast(to: .i64), operand), shape = g.type(of: indices).shape
            let given = try node.int("axis", default: -1), axis = given < 0 ? given + shape.count + 1 : given
            guard depth > 0, depth <= 1 << 24, (0...shape.count).contains(axis), g.type(of: values).shape == [2] else {
                throw .malformed(
                    "depth \(depth), axis \(given) and values of shape \(g.type(of: values).shape) do not fit")
            }
            // Every position along the new axis, to be compared with the index; negative indices count from the back.
            let isBack = try g.apply(Less(), indices, g.constant(0, like: indices))
            let front = try g.apply(
                Where(), isBack, g.apply(Add(), indices, g.constant(Double(depth), like: indices)), indices)
            let lifted = try g.apply(Reshape(Array(shape[..<axis]) + [1] + shape[axis...]), front)
            let positions = g.constant(
                Literal(Array(0..<depth), shape: [depth] + [Int](repeating: 1, count: shape.count - axis)))
            let isHot = try g.apply(Equal(), lifted, positions)
            let off = try g.apply(Reshape([]), g.apply(Slice(starts: [0], sizes: [1]), values))
            let on = try g.apply(Reshape([]), g.apply(Slice(starts: [1], sizes: [1]), values))
            return [try g.apply(Where(), isHot, on, off, name: node.name)]
        },
        ONNXImport("Hardmax") { node, g throws(ONNXImportError) in
            var x = try node.required(0)
            let type = g.type(of: x)
            let axis = try node.axis(default: node.opset < 13 ? 1 : -1, rank: type.rank)
            // Before opset 13 everything from the axis on counted as one dimension.
            let flattens = node.opset < 13
            if flattens {
                x = try g.apply(Reshape([type.shape[..<axis].reduce(1, *), type.shape[axis...].reduce(1, *)]), x)
            }
            let shape = g.type(of: x).shape, along = flattens ? 1 : axis
            let best = try g.apply(ArgExtreme(axis: along), x)
            let positions = g.constant(
                Literal(Array(0..<shape[along]), shape: shape.indices.map { $0 == along ? shape[along] : 1 }))
            let y = try g.apply(Cast(to: type.element), g.apply(Equal(), best, positions), name: node.name)
            return [flattens ? try g.apply(Reshape(type.shape), y) : y]
        },
        ONNXImport("DepthToSpace", elements: ElementType.allCases) { node, g throws(ONNXImportError) in
            let x = try node.required(0), s = g.type(of: x).shape, b = try node.int("blocksize", default: 0)
            guard s.count == 4, b > 0, s[1] % (b * b) == 0 else {
                throw .malformed("shape \(s) has no blocks of size \(b)")
            }
            let isColumnFirst = try node.string("mode", default: "DCR") == "CRD"
            let wide =
                isColumnFirst ? [s[0], s[1] / (b * b), b, b, s[2], s[3]] : [s[0], b, b, s[1] / (b * b), s[2], s[3]]
            let order = isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]
            let moved = try g.apply(Transpose(order), g.apply(Reshape(wide), x))
            return [try g.apply(Reshape([s[0], s[1] / (b * b), s[2] * b, s[3] * b]), moved, name: node.name)]
        },
        ONNXImport("SpaceToDepth", elements: ElementType.allCases) { node, g throws(ONNXImportError) in
            let x = try node.required(0), s = g.type(of: x).shape, b = try node.int("blocksize", default: 0)
            guard s.count == 4, b > 0, s[2] % b == 0, s[3] % b == 0 else {
                throw .malformed("shape \(s) has no blocks of size \(b)")
            }
            let wide = try g.apply(Reshape([s[0], s[1], s[2] / b, b, s[3] / b, b]), x)
            let moved = try g.apply(Transpose([0, 3, 5, 1, 2, 4]), wide)
            return [try g.apply(Reshape([s[0], s[1] * b * b, s[2] / b, s[3] / b]), moved, name: node.name)]
        },
        ONNXImport("ReverseSequence", versions: 10...21, elements: ElementType.allCases) {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), shape = g.type(of: x).shape
            let time = try node.int("time_axis", default: 0), batch = try node.int("batch_axis", default: 1)
            guard shape.count >= 2, Set([time, batch]) == [0, 1] else {
                throw .malformed("time_axis and batch_axis should be 0 and 1")
            }
            func along(_ axis: Int) -> [Int] { shape.indices.map { $0 == axis ? shape[axis] : 1 } }
            let lengths = try g.apply(Reshape(along(batch)), g.apply(Cast(to: .i64), node.required(1)))
            let positions = g.constant(Literal(Array(0..<shape[time]), shape: along(time)))
            // Position t becomes length - 1 - t inside the sequence and stays behind it.
            let mirrored = try g.apply(
                Subtract(), g.apply(Subtract(), lengths, g.constant(1, like: lengths)), positions)
            let indices = try g.apply(Where(), g.apply(Less(), positions, lengths), mirrored, positions)
            return [try g.apply(GatherElements(axis: time), x, g.apply(BroadcastTo(shape), indices), name: node.name)]
        },
        ONNXImport(
            "CenterCropPad", versions: 18...21, elements: ElementType.allCases, refuses: "a shape that is not constant"
        ) {
            node, g throws(ONNXImportError) in
            var x = try node.required(0)
            let shape = g.type(of: x).shape, target = try node.integers(1, in: g, called: "shape")
            let axes = (try node.ints("axes") ?? Array(shape.indices)).map { $0 < 0 ? $0 + shape.count : $0 }
            guard axes.count == target.count, axes.allSatisfy(shape.indices.contains) else {
                throw .malformed("\(target.count) sizes do not fit axes \(axes) of \(shape)")
            }
            var before = shape.map { _ in 0 }, after = before
            for (axis, size) in zip(axes, target) {
                let excess = size - shape[axis]
                // Halves round towards more behind when padding, and towards less before when cropping.
                before[axis] = excess >= 0 ? excess / 2 : -((-excess) / 2)
                after[axis] = excess - before[axis]
            }
            x = try g.apply(Pad(before: before, after: after), x, name: node.name)
            return [x]
        },
    ]
}
