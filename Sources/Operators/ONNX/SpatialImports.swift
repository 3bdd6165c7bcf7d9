import IR

/// Convolutions and pools over one or three spatial dimensions, made of those over two and of slices.
extension GraphBuilder {
    /// ONNX's `Conv` over other than two spatial dimensions.
    mutating func convolution(_ node: ONNXNode, _ x: Value, _ w: Value, _ bias: Value?) throws(ONNXImportError) -> Value
    {
        let image = type(of: x).shape, filter = type(of: w).shape
        guard image.count == filter.count, image.count == 3 || image.count == 5 else {
            throw .unsupported("Conv over \(image.count - 2) spatial dimensions")
        }
        let window = try node.spatialWindow(kernel: Array(filter[2...]), size: Array(image[2...]))
        let groups = try node.int("group", default: 1), out = try window.output(Array(image[2...]))
        let last = window.kernel.count - 1
        if last == 0 {
            let op = Conv2D(
                stride: [1, window.stride[0]], dilation: [1, window.dilation[0]],
                padding: [0, window.before[0], 0, window.after[0]], groups: groups)
            let flat = try apply(Reshape([image[0], image[1], 1, image[2]]), x)
            let filters = try apply(Reshape([filter[0], filter[1], 1, filter[2]]), w)
            let y = try conv(op, flat, filters, bias, node)
            return try apply(Reshape([image[0], filter[0], out[0]]), y)
        }
        let op = Conv2D(
            stride: Array(window.stride[1...]), dilation: Array(window.dilation[1...]),
            padding: Array(window.before[1...] + window.after[1...]), groups: groups)
        let padded = try apply(
            Pad(before: [0, 0, window.before[0], 0, 0], after: [0, 0, window.after[0], 0, 0]), x)
        var sum: Value?
        for tap in 0..<window.kernel[0] {
            // The slices that this tap of the depth meets, as images of their own.
            let slices = try apply(
                Slice(
                    starts: [0, 0, tap * window.dilation[0], 0, 0],
                    sizes: [image[0], image[1], out[0], image[3], image[4]],
                    steps: [1, 1, window.stride[0], 1, 1]), padded)
            let images = try apply(
                Reshape([image[0] * out[0], image[1], image[3], image[4]]), apply(Transpose([0, 2, 1, 3, 4]), slices))
            let filters = try apply(
                Reshape([filter[0], filter[1], filter[3], filter[4]]),
                apply(Slice(axis: 2, start: tap, size: 1, of: filter), w))
            let part = try conv(op, images, filters, tap == 0 ? bias : nil, node)
            sum = if let sum { try apply(Add(), sum, part) } else { part }
        }
        guard let sum else { throw .malformed("the filter is empty") }
        return try apply(
            Transpose([0, 2, 1, 3, 4]), apply(Reshape([image[0], out[0], filter[0], out[1], out[2]]), sum))
    }

    private mutating func conv(
        _ op: Conv2D, _ x: Value, _ w: Value, _ bias: Value?, _ node: ONNXNode
    ) throws(ONNXImportError) -> Value {
        do throws(ShapeError) {
            return try appendAll(op, [x, w] + (bias.map { [$0] } ?? []), name: node.name)[0]
        } catch {
            throw .malformed(error.description)
        }
    }

    /// The kernel that a pool's node states, which must fit the operand.
    private func poolWindow(_ node: ONNXNode, _ x: Value) throws(ONNXImportError) -> SpatialWindow {
        guard let kernel = try node.ints("kernel_shape") else { throw .malformed("kernel_shape is missing") }
        let shape = type(of: x).shape
        guard shape.count == kernel.count + 2 else {
            throw .malformed("kernel_shape \(kernel) does not fit shape \(shape)")
        }
        return try node.spatialWindow(kernel: kernel, size: Array(shape[2...]))
    }

    /// The value that no maximum is below.
    private func lowest(_ element: ElementType) -> Double {
        element.isFloatingPoint
            ? -.infinity : element.isSigned ? -Double(sign: .plus, exponent: element.size * 8 - 1, significand: 1) : 0
    }

    /// ONNX's `MaxPool` over any spatial dimensions.
    mutating func maxPool(_ node: ONNXNode, _ x: Value) throws(ONNXImportError) -> [Value] {
        let window = try poolWindow(node, x), lowest = lowest(type(of: x).element)
        guard node.wants(1) else { return [try folded(x, window, padding: lowest, Maximum())] }
        // The position of each element in the whole tensor travels along.
        let shape = type(of: x).shape, spatial = Array(shape[2...])
        let isColumnMajor = try node.int("storage_order", default: 0) != 0
        var places = TensorType.strides(spatial)
        if isColumnMajor {
            var step = 1
            for d in spatial.indices {
                places[d] = step
                step *= spatial[d]
            }
        }
        let plane = spatial.reduce(1, *)
        var positions: [Int] = []
        for image in 0..<shape[0] * shape[1] {
            forEachIndex(spatial, [places]) { positions.append(image * plane + $1[0]) }
        }
        let values = try taps(of: x, window, padding: lowest)
        let indices = try taps(of: constant(Literal(positions, shape: shape)), window, padding: 0)
        var best = values[0], index = indices[0]
        for (value, position) in zip(values, indices).dropFirst() {
            let isBetter = try apply(Greater(), value, best)
            index = try apply(Where(), isBetter, position, index)
            best = try apply(Maximum(), best, value)
        }
        return [best, index]
    }

    /// ONNX's `AveragePool` over any spatial dimensions.
    mutating func averagePool(_ node: ONNXNode, _ x: Value) throws(ONNXImportError) -> [Value] {
        let window = try poolWindow(node, x), size = Array(type(of: x).shape[2...])
        let countsPadding = try node.int("count_include_pad", default: 0) != 0
        guard !countsPadding || window.excess.allSatisfy({ $0 == 0 }) || size.count == 2 else {
            throw .unsupported(
                "AveragePool that counts padding and rounds up over \(size.count) dimensions: "
                    + "ONNX's cases and its runtimes disagree about the divisor")
        }
        let sum = try folded(x, window, padding: 0, Add()), out = try window.output(size)
        // How many taps of each position count, dimension by dimension.
        var counts = [1.0]
        for d in size.indices {
            let low = countsPadding ? -window.before[d] : 0
            let high = countsPadding ? size[d] + window.after[d] - window.excess[d] : size[d]
            let line = (0..<out[d]).map { o in
                (0..<window.kernel[d]).count { tap in
                    (low..<high).contains(o * window.stride[d] - window.before[d] + tap * window.dilation[d])
                }
            }
            counts = counts.flatMap { count in line.map { count * Double($0) } }
        }
        let divisors = constant(Literal(type(of: x).element, out, reals: counts.map { max($0, 1) }))
        return [try apply(Divide(), sum, divisors, name: node.name)]
    }

    /// `(Σ |x|ᵖ)` to the power of `1/p` over a window.
    mutating func powerPool(_ node: ONNXNode, _ x: Value) throws(ONNXImportError) -> [Value] {
        let p = Double(try node.int("p", default: 2)), window = try poolWindow(node, x)
        let powers = try apply(Power(), apply(Absolute(), x), constant(p, like: x))
        let sum = try folded(powers, window, padding: 0, Add())
        return [try apply(Power(), sum, constant(1 / p, like: x), name: node.name)]
    }

    /// ONNX's `ConvTranspose` over one, two or three spatial dimensions.
    mutating func transposedConvolution(_ node: ONNXNode) throws(ONNXImportError) -> Value {
        let x = try node.required(0), w = try node.required(1)
        let image = type(of: x).shape, filter = type(of: w).shape, n = image.count - 2
        guard (1...3).contains(n), filter.count == image.count, filter[0] == image[1] else {
            throw .malformed("the filter of shape \(filter) does not fit an image of shape \(image)")
        }
        let size = Array(image[2...]), kernel = Array(filter[2...]), groups = try node.int("group", default: 1)
        let ones = [Int](repeating: 1, count: n), zeros = ones.map { _ in 0 }
        let stride = try node.ints("strides") ?? ones, dilation = try node.ints("dilations") ?? ones
        let extra = try node.ints("output_padding") ?? zeros, mode = try node.string("auto_pad", default: "NOTSET")
        guard [stride.count, dilation.count, extra.count] == [n, n, n], (stride + dilation).allSatisfy({ $0 > 0 }),
            groups > 0
        else {
            throw .malformed("strides, dilations and output_padding need \(n) entries")
        }
        let full: [Int] = (0..<n).map { (d: Int) -> Int in
            let span = (kernel[d] - 1) * dilation[d] + 1
            return stride[d] * (size[d] - 1) + extra[d] + span
        }
        var (before, after) = (zeros, zeros)
        var target = try node.ints("output_shape").map { Array($0.suffix(n)) }
        if mode.hasPrefix("SAME"), target == nil { target = zip(size, stride).map(*) }
        if let target {
            guard target.count == n else { throw .malformed("output_shape needs \(n) entries") }
            for d in 0..<n {
                let total = max(0, full[d] - target[d])
                before[d] = mode == "SAME_UPPER" ? total / 2 : total - total / 2
                after[d] = total - before[d]
            }
        } else if mode == "NOTSET", let pads = try node.ints("pads") {
            guard pads.count == 2 * n else { throw .malformed("pads needs \(2 * n) entries") }
            (before, after) = (Array(pads[..<n]), Array(pads[n...]))
        }
        let cropped: [Int] = (0..<n).map { (d: Int) -> Int in full[d] - before[d] - after[d] }
        let out = target ?? cropped
        guard out.allSatisfy({ $0 > 0 }) else { throw .malformed("the result would have the sizes \(out)") }
        let maps = filter[1] * groups
        var y: Value
        if n == 3 {
            y = try deepTransposed(x, w, groups, stride, dilation, before, after, extra, out)
        } else {
            let lift = n == 1 ? [1] : [], none = n == 1 ? [0] : []
            let op = Conv2D(
                stride: lift + stride, dilation: lift + dilation, padding: none + before + none + after, groups: groups)
            let flat = try apply(Reshape([image[0], image[1]] + lift + size), x)
            let filters = try apply(Reshape([filter[0], filter[1]] + lift + kernel), w)
            y = try apply(
                Conv2DInputGradient(op, image: [image[0], maps] + lift + out), flat, filters, name: node.name)
            y = try apply(Reshape([image[0], maps] + out), y)
        }
        if let bias = node.input(2) { y = try apply(Add(), y, apply(Reshape([maps] + ones), bias)) }
        return y
    }

    /// Each tap of the depth as a transposed convolution of all slices, moved apart and into place.
    private mutating func deepTransposed(
        _ x: Value, _ w: Value, _ groups: Int, _ stride: [Int], _ dilation: [Int], _ before: [Int], _ after: [Int],
        _ extra: [Int], _ out: [Int]
    ) throws(ONNXImportError) -> Value {
        let image = type(of: x).shape, filter = type(of: w).shape, maps = filter[1] * groups
        let op = Conv2D(
            stride: Array(stride[1...]), dilation: Array(dilation[1...]), padding: Array(before[1...] + after[1...]),
            groups: groups)
        let images = try apply(
            Reshape([image[0] * image[2], image[1], image[3], image[4]]), apply(Transpose([0, 2, 1, 3, 4]), x))
        var sum: Value?
        for tap in 0..<filter[2] {
            let filters = try apply(
                Reshape([filter[0], filter[1], filter[3], filter[4]]),
                apply(Slice(axis: 2, start: tap, size: 1, of: filter), w))
            let part = try apply(
                Conv2DInputGradient(op, image: [image[0] * image[2], maps, out[1], out[2]]), images, filters)
            let deep = try apply(
                Transpose([0, 2, 1, 3, 4]), apply(Reshape([image[0], image[2], maps, out[1], out[2]]), part))
            let apart = try apply(
                Pad(before: [0, 0, 0, 0, 0, 0], after: [0, 0, 0, stride[0] - 1, 0, 0]),
                apply(Reshape([image[0], maps, image[2], 1, out[1], out[2]]), deep))
            let line = try apply(Reshape([image[0], maps, image[2] * stride[0], out[1], out[2]]), apart)
            let shift = tap * dilation[0] - before[0]
            let placed = try apply(
                Pad(before: [0, 0, shift, 0, 0], after: [0, 0, out[0] - shift - image[2] * stride[0], 0, 0]), line)
            sum = if let sum { try apply(Add(), sum, placed) } else { placed }
        }
        guard let sum else { throw .malformed("the filter is empty") }
        return sum
    }
}

extension Registry {
    /// Spatial operators of ONNX without an operator of their own.
    static let spatialImports: [ONNXImport] = [
        ONNXImport("ConvTranspose", refuses: "more than three spatial dimensions") { node, g throws(ONNXImportError) in
            [try g.transposedConvolution(node)]
        },
        ONNXImport("LpPool") { node, g throws(ONNXImportError) in try g.powerPool(node, try node.required(0)) },
        ONNXImport("GlobalLpPool") { node, g throws(ONNXImportError) in
            let x = try node.required(0), p = Double(try node.int("p", default: 2))
            let powers = try g.apply(Power(), g.apply(Absolute(), x), g.constant(p, like: x))
            let sum = try g.apply(ReduceSum(axes: Array(2..<max(2, g.type(of: x).rank)), keepsDimensions: true), powers)
            return [try g.apply(Power(), sum, g.constant(1 / p, like: x), name: node.name)]
        },
        ONNXImport("MaxUnpool", versions: 9...21, refuses: "a shape that is not constant") {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), indices = try node.required(1), shape = g.type(of: x).shape
            guard let kernel = try node.ints("kernel_shape"), kernel.count == shape.count - 2 else {
                throw .malformed("kernel_shape does not fit shape \(shape)")
            }
            let window = try node.spatialWindow(kernel: kernel, size: Array(shape[2...]))
            let own =
                Array(shape[..<2])
                + kernel.indices.map {
                    (shape[$0 + 2] - 1) * window.stride[$0] + kernel[$0] - window.before[$0] - window.after[$0]
                }
            let target = node.input(2) == nil ? own : try node.integers(2, in: g, called: "output_shape")
            guard target.count == own.count, zip(target, own).allSatisfy({ $0 >= $1 }) else {
                throw .malformed("the result \(target) should be at least \(own)")
            }
            let zeros = try g.broadcast(g.constant(0, like: x), to: [own.reduce(1, *)])
            let count = shape.reduce(1, *)
            let flat = try g.apply(
                ScatterElements(axis: 0), zeros, g.apply(Reshape([count]), indices), g.apply(Reshape([count]), x))
            let y = try g.apply(Reshape(own), flat, name: node.name)
            return [target == own ? y : try g.apply(Pad(before: own.map { _ in 0 }, after: zip(target, own).map(-)), y)]
        },
        ONNXImport("Col2Im", versions: 18...21, refuses: "shapes that are not constant") {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), shape = g.type(of: x).shape
            let image = try node.integers(1, in: g, called: "image_shape"),
                block = try node.integers(2, in: g, called: "block_shape")
            let window = try node.spatialWindow(kernel: block, size: image)
            let taps = block.reduce(1, *), out = try window.output(image), pixels = image.reduce(1, *)
            guard shape.count == 3, shape[1] % taps == 0, shape[2] == out.reduce(1, *) else {
                throw .malformed("columns of shape \(shape) do not make images of \(image) from blocks of \(block)")
            }
            // Where each element of a column goes; what falls into the padding goes behind the image.
            var targets: [Int] = []
            let strides = TensorType.strides(image), unit = [Int](repeating: 1, count: image.count)
            forEachIndex(block, [TensorType.strides(block)]) { tap, _ in
                forEachIndex(out, [unit]) { place, _ in
                    var (t, p, at, isInside) = (tap, place, 0, true)
                    for d in image.indices.reversed() {
                        let position =
                            p % out[d] * window.stride[d] - window.before[d] + t % block[d] * window.dilation[d]
                        (t, p) = (t / block[d], p / out[d])
                        isInside = isInside && (0..<image[d]).contains(position)
                        at += position * strides[d]
                    }
                    targets.append(isInside ? at : pixels)
                }
            }
            let channels = shape[1] / taps, columns = taps * shape[2]
            let indices = try g.broadcast(g.constant(Literal(targets)), to: [shape[0], channels, columns])
            let zeros = try g.broadcast(g.constant(0, like: x), to: [shape[0], channels, pixels + 1])
            let sums = try g.apply(
                ScatterElements(axis: 2, reduction: .add), zeros, indices,
                g.apply(Reshape([shape[0], channels, columns]), x))
            let images = try g.apply(
                Slice(axis: 2, start: 0, size: pixels, of: [shape[0], channels, pixels + 1]), sums)
            return [try g.apply(Reshape([shape[0], channels] + image), images, name: node.name)]
        },
    ]
}
