import IR

/// A window over any number of spatial dimensions, as ONNX's convolutions and pools describe it.
struct SpatialWindow {
    var kernel: [Int]
    var stride: [Int]
    var dilation: [Int]
    var before: [Int]
    /// Padding behind; `excess` of it comes from rounding up alone.
    var after: [Int]
    var excess: [Int]

    /// Window positions along each dimension of the given sizes.
    func output(_ size: [Int]) throws(ONNXImportError) -> [Int] {
        var result: [Int] = []
        for d in size.indices {
            let room = size[d] + before[d] + after[d] - dilation[d] * (kernel[d] - 1) - 1
            guard room >= 0 else {
                throw .malformed("a window of \(kernel[d]) is larger than dimension \(d) with its padding")
            }
            result.append(room / stride[d] + 1)
        }
        return result
    }
}

extension ONNXNode {
    /// The window over dimensions of the given sizes, `auto_pad` and rounding up resolved.
    func spatialWindow(kernel: [Int], size: [Int]) throws(ONNXImportError) -> SpatialWindow {
        let n = size.count, ones = [Int](repeating: 1, count: n), zeros = [Int](repeating: 0, count: n)
        let stride = try ints("strides") ?? ones, dilation = try ints("dilations") ?? ones
        guard n > 0, kernel.count == n, stride.count == n, dilation.count == n,
            (kernel + stride + dilation).allSatisfy({ $0 > 0 }), kernel.elementCount <= 1 << 16
        else {
            throw .malformed(
                "the window's kernel, strides and dilations need \(n) positive entries, and at most 65536 taps")
        }
        var window = SpatialWindow(
            kernel: kernel, stride: stride, dilation: dilation, before: zeros, after: zeros, excess: zeros)
        let mode = try string("auto_pad", default: "NOTSET")
        switch mode {
        case "NOTSET", "":
            let pads = try ints("pads") ?? zeros + zeros
            guard pads.count == 2 * n else { throw .malformed("pads needs \(2 * n) entries") }
            window.before = Array(pads[..<n])
            window.after = Array(pads[n...])
        case "VALID": break
        case "SAME_UPPER", "SAME_LOWER":
            for d in 0..<n {
                let out = (size[d] + stride[d] - 1) / stride[d]
                let total = max(0, (out - 1) * stride[d] + dilation[d] * (kernel[d] - 1) + 1 - size[d])
                window.before[d] = mode == "SAME_UPPER" ? total / 2 : total - total / 2
                window.after[d] = total - window.before[d]
            }
        default: throw .malformed("auto_pad '\(mode)' is unknown")
        }
        if try int("ceil_mode", default: 0) != 0 {
            for d in 0..<n {
                let room = size[d] + window.before[d] + window.after[d] - dilation[d] * (kernel[d] - 1) - 1
                var steps = (room + stride[d] - 1) / stride[d]
                // The last window may not start in the padding behind.
                if steps * stride[d] >= size[d] + window.before[d] { steps -= 1 }
                window.excess[d] = max(0, steps * stride[d] - room)
                window.after[d] += window.excess[d]
            }
        }
        return window
    }
}

extension GraphBuilder {
    /// Every tap of the window as a tensor of the result's shape, in row-major order of the window.
    mutating func taps(of x: Value, _ window: SpatialWindow, padding value: Double) throws(ONNXImportError) -> [Value] {
        let n = window.kernel.count, shape = type(of: x).shape, lead = shape.count - n
        let out = try window.output(Array(shape[lead...])), fill = [Int](repeating: 0, count: lead)
        let pads = (window.before + window.after).contains { $0 != 0 }
        let padded =
            pads ? try apply(Pad(before: fill + window.before, after: fill + window.after, value: value), x) : x
        var result: [Value] = []
        for tap in 0..<window.kernel.reduce(1, *) {
            var rest = tap
            var starts = fill + [Int](repeating: 0, count: n)
            for d in (0..<n).reversed() {
                starts[lead + d] = rest % window.kernel[d] * window.dilation[d]
                rest /= window.kernel[d]
            }
            let steps = fill.map { _ in 1 } + window.stride
            result.append(try apply(Slice(starts: starts, sizes: shape[..<lead] + out, steps: steps), padded))
        }
        return result
    }

    /// The window's taps combined by an operator that can be applied along one dimension after the other.
    mutating func folded(
        _ x: Value, _ window: SpatialWindow, padding value: Double, _ combine: any Operator
    ) throws(ONNXImportError) -> Value {
        let n = window.kernel.count, lead = type(of: x).rank - n
        var y = x
        for d in 0..<n {
            // One dimension at a time: the others have a window of one.
            var line = SpatialWindow(
                kernel: .init(repeating: 1, count: n), stride: .init(repeating: 1, count: n),
                dilation: .init(repeating: 1, count: n), before: .init(repeating: 0, count: n),
                after: .init(repeating: 0, count: n), excess: .init(repeating: 0, count: n))
            (line.kernel[d], line.stride[d], line.dilation[d]) = (
                window.kernel[d], window.stride[d], window.dilation[d]
            )
            (line.before[d], line.after[d]) = (window.before[d], window.after[d])
            let taps = try taps(of: y, line, padding: value)
            y = taps[0]
            for tap in taps.dropFirst() { y = try apply(combine, y, tap) }
        }
        precondition(type(of: y).rank == lead + n, "a window keeps the rank")
        return y
    }
}
