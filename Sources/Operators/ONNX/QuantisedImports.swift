import IR

extension GraphBuilder {
    /// A scale or zero point in the shape in which it broadcasts: one value, one for each position along an axis, or
    /// one for each block of an axis.
    fileprivate mutating func spread(_ value: Value, like x: Value, axis: Int, block: Int) throws(ONNXImportError)
        -> Value
    {
        let shape = type(of: value).shape, target = type(of: x).shape
        if type(of: value).count == 1 && block == 0 { return try apply(Reshape([]), value) }
        if shape.count == 1 {
            guard target.indices.contains(axis), target[axis] == shape[0] else {
                throw .malformed("\(shape[0]) scales do not fit axis \(axis) of shape \(target)")
            }
            return try apply(Reshape(shape + [Int](repeating: 1, count: target.count - axis - 1)), value)
        }
        guard shape.count == target.count, target.indices.contains(axis), block > 0, shape[axis] * block >= target[axis]
        else {
            throw .malformed("scales of shape \(shape) do not fit shape \(target)")
        }
        var (lifted, wide, joined) = (shape, shape, shape)
        lifted.insert(1, at: axis + 1)
        wide.insert(block, at: axis + 1)
        joined[axis] *= block
        let repeated = try apply(Reshape(joined), broadcast(apply(Reshape(lifted), value), to: wide))
        return try apply(Slice(axis: axis, start: 0, size: target[axis], of: joined), repeated)
    }

    /// `round(x) + zero`, halves to even, clamped to an integer type.
    fileprivate mutating func saturated(_ x: Value, zero: Value?, _ element: ElementType) throws(ONNXImportError)
        -> Value
    {
        var y = try apply(Round(), x)
        if let zero { y = try apply(Add(), y, apply(Cast(to: type(of: x).element), zero)) }
        let low = element.isSigned ? -Double(sign: .plus, exponent: element.size * 8 - 1, significand: 1) : 0
        let high = Double(sign: .plus, exponent: element.size * 8 - (element.isSigned ? 1 : 0), significand: 1) - 1
        return try apply(Cast(to: element), apply(Clip(low: low, high: high), y))
    }

    /// `x - zero` as another type.
    fileprivate mutating func centred(_ x: Value, _ zero: Value?, _ element: ElementType) throws(ONNXImportError)
        -> Value
    {
        let wide = try apply(Cast(to: element), x)
        guard let zero else { return wide }
        return try apply(Subtract(), wide, apply(Cast(to: element), zero))
    }

    /// Zero points or scales of a matrix: one of all, of each row, or of each column.
    fileprivate mutating func matrixScale(_ value: Value?, isLeft: Bool) throws(ONNXImportError) -> Value? {
        guard let value else { return nil }
        let shape = type(of: value).shape
        if type(of: value).count == 1 { return try apply(Reshape([]), value) }
        return isLeft && shape.count == 1 ? try apply(Reshape(shape + [1]), value) : value
    }

    /// Zero points or scales of a filter, one of all or of each map, against a result of `rank` dimensions.
    fileprivate mutating func filterScale(_ value: Value?, rank: Int, isResult: Bool) throws(ONNXImportError) -> Value?
    {
        guard let value else { return nil }
        if type(of: value).count == 1 { return try apply(Reshape([]), value) }
        return try apply(Reshape(type(of: value).shape + [Int](repeating: 1, count: rank - (isResult ? 2 : 1))), value)
    }

    /// An exact convolution of integers: in `f64`, which holds every sum that fits in 32 bits and far more.
    fileprivate mutating func integerConvolution(
        _ node: ONNXNode, _ x: Value, _ xZero: Value?, _ w: Value, _ wZero: Value?
    ) throws(ONNXImportError) -> Value {
        let image = try centred(x, xZero, .f64), filter = try centred(w, wZero, .f64)
        guard let conv = Registry.onnxImports[ONNXImport.key("Conv", domain: "")] else {
            throw .unsupported("convolutions are not supported")
        }
        var plain = node
        plain.inputs = [image, filter]
        return try conv.read(plain, &self)[0]
    }
}

extension ONNXNode {
    /// The quantised type that a zero point, or an attribute, names; `u8` otherwise.
    fileprivate func quantised(_ zero: Value?, in g: GraphBuilder) throws(ONNXImportError) -> ElementType {
        if let zero { return g.type(of: zero).element }
        let code = try int("output_dtype", default: 2)
        guard let element = ElementType(onnxCode: code == 0 ? 2 : code), element.isInteger else {
            throw .unsupported("\(opType) to ONNX type \(code)")
        }
        return element
    }
}

extension Registry {
    /// Quantised operators: exact integers between roundings.
    static let quantisedImports: [ONNXImport] = [
        ONNXImport(
            "QuantizeLinear", versions: 10...21, elements: ElementType.floats + [.i32],
            refuses: "8-bit floats, 4-bit integers"
        ) {
            node, g throws(ONNXImportError) in
            var x = try node.required(0)
            let axis = try node.axis(default: 1, rank: max(2, g.type(of: x).rank)),
                block = try node.int("block_size", default: 0)
            let element = try node.quantised(node.input(2), in: g), scale = try node.required(1)
            if g.type(of: x).element != g.type(of: scale).element {
                x = try g.apply(Cast(to: g.type(of: scale).element), x)
            }
            let scaled = try g.apply(Divide(), x, g.spread(scale, like: x, axis: axis, block: block))
            var zero: Value?
            if let given = node.input(2) { zero = try g.spread(given, like: x, axis: axis, block: block) }
            return [try g.saturated(scaled, zero: zero, element)]
        },
        ONNXImport(
            "DequantizeLinear", versions: 10...21, elements: [.i8, .u8, .i16, .u16, .i32],
            refuses: "8-bit floats, 4-bit integers"
        ) {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), scale = try node.required(1), element = g.type(of: scale).element
            let axis = try node.axis(default: 1, rank: max(2, g.type(of: x).rank)),
                block = try node.int("block_size", default: 0)
            var zero: Value?
            if let given = node.input(2) { zero = try g.spread(given, like: x, axis: axis, block: block) }
            let wide = try g.centred(x, zero, element)
            return [try g.apply(Multiply(), wide, g.spread(scale, like: x, axis: axis, block: block), name: node.name)]
        },
        ONNXImport("DynamicQuantizeLinear", versions: 11...21, elements: [.f32]) { node, g throws(ONNXImportError) in
            let x = try node.required(0), zero = g.constant(0, like: x), top = g.constant(255, like: x)
            let high = try g.apply(Maximum(), g.apply(ReduceMax(), x), zero),
                low = try g.apply(Minimum(), g.apply(ReduceMin(), x), zero)
            let scale = try g.apply(Divide(), g.apply(Subtract(), high, low), top)
            let start = try g.apply(Divide(), g.apply(Subtract(), zero, low), scale)
            let point = try g.apply(Cast(to: .u8), g.apply(Round(), g.apply(Clip(low: 0, high: 255), start)))
            return [try g.saturated(g.apply(Divide(), x, scale), zero: point, .u8), scale, point]
        },
        ONNXImport("MatMulInteger", versions: 10...21, elements: [.i8, .u8]) { node, g throws(ONNXImportError) in
            let a = try g.centred(node.required(0), g.matrixScale(node.input(2), isLeft: true), .i32)
            let b = try g.centred(node.required(1), g.matrixScale(node.input(3), isLeft: false), .i32)
            return try importing { () throws(ShapeError) in [try g.matrixProduct(a, b, name: node.name)] }
        },
        ONNXImport("QLinearMatMul", versions: 10...21, elements: [.i8, .u8]) { node, g throws(ONNXImportError) in
            let a = try g.centred(node.required(0), g.matrixScale(node.input(2), isLeft: true), .i32)
            let b = try g.centred(node.required(3), g.matrixScale(node.input(5), isLeft: false), .i32)
            let product = try importing { () throws(ShapeError) in try g.matrixProduct(a, b, name: node.name) }
            guard let aScale = try g.matrixScale(node.required(1), isLeft: true),
                let bScale = try g.matrixScale(node.required(4), isLeft: false),
                let yScale = try g.matrixScale(node.required(6), isLeft: false)
            else { throw .malformed("a scale is missing") }
            let factor = try g.apply(Divide(), g.apply(Multiply(), aScale, bScale), yScale)
            let scaled = try g.apply(Multiply(), g.apply(Cast(to: .f64), product), g.apply(Cast(to: .f64), factor))
            let zero = try node.required(7)
            return [try g.saturated(scaled, zero: g.matrixScale(zero, isLeft: false), g.type(of: zero).element)]
        },
        ONNXImport("ConvInteger", versions: 10...21, elements: [.i8, .u8]) { node, g throws(ONNXImportError) in
            let w = try node.required(1),
                wZero = try g.filterScale(node.input(3), rank: g.type(of: w).rank, isResult: false)
            let xZero = try node.input(2).map { zero throws(ONNXImportError) in try g.apply(Reshape([]), zero) }
            let sums = try g.integerConvolution(node, node.required(0), xZero, w, wZero)
            return [try g.apply(Cast(to: .i32), sums)]
        },
        ONNXImport("QLinearConv", versions: 10...21, elements: [.i8, .u8]) { node, g throws(ONNXImportError) in
            let w = try node.required(3), rank = g.type(of: w).rank
            let xZero = try g.apply(Reshape([]), node.required(2))
            let wZero = try g.filterScale(node.required(5), rank: rank, isResult: false)
            var sums = try g.integerConvolution(node, node.required(0), xZero, w, wZero)
            if let bias = node.input(8), let spread = try g.filterScale(bias, rank: rank, isResult: true) {
                sums = try g.apply(Add(), sums, g.apply(Cast(to: .f64), spread))
            }
            guard let wScale = try g.filterScale(node.required(4), rank: rank, isResult: true) else {
                throw .malformed("a scale is missing")
            }
            let product = try g.apply(Multiply(), g.apply(Reshape([]), node.required(1)), wScale)
            let factor = try g.apply(Divide(), product, g.apply(Reshape([]), node.required(6)))
            let scaled = try g.apply(Multiply(), sums, g.apply(Cast(to: .f64), factor))
            let zero = try node.required(7)
            return [try g.saturated(scaled, zero: g.apply(Reshape([]), zero), g.type(of: zero).element)]
        },
    ]
}
