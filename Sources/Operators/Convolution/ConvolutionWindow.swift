import IR

/// How a window moves over an image: the attributes that convolutions and pools share.
///
/// `padding` is ONNX's `[top, left, bottom, right]`.
public struct Window: Codable, Hashable, Sendable {
    public var kernel = [1, 1]
    public var stride = [1, 1]
    public var dilation = [1, 1]
    public var padding = [0, 0, 0, 0]

    public init(kernel: [Int], stride: [Int] = [1, 1], dilation: [Int] = [1, 1], padding: [Int] = [0, 0, 0, 0]) {
        self.kernel = kernel
        self.stride = stride
        self.dilation = dilation
        self.padding = padding
    }

    /// Rows and columns of the result for an image of the given size.
    public func output(_ size: [Int], for op: some Operator) throws(ShapeError) -> [Int] {
        guard [kernel.count, stride.count, dilation.count, padding.count] == [2, 2, 2, 4],
            stride.allSatisfy({ $0 > 0 }),
            dilation.allSatisfy({ $0 > 0 }), kernel.allSatisfy({ $0 > 0 })
        else {
            throw ShapeError("\(type(of: op).mnemonic): stride and dilation take two positive numbers, padding four")
        }
        var result: [Int] = []
        for d in 0..<2 {
            let room = size[d] + padding[d] + padding[d + 2] - dilation[d] * (kernel[d] - 1) - 1
            guard room >= 0 else {
                throw ShapeError(
                    "\(type(of: op).mnemonic): a window of \(kernel[d]) (dilation \(dilation[d])) is larger than the padded image (\(size[d]) + \(padding[d]) + \(padding[d + 2]))"
                )
            }
            result.append(room / stride[d] + 1)
        }
        return result
    }

    /// Calls `body` for every element inside the image of every window over images `[N, C, H, W]`, with the linear index of
    /// the window in the output, its row and column, and the linear index of the element.
    @inline(__always)
    func forEachElement(
        over image: [Int], output: [Int], _ body: (_ window: Int, _ row: Int, _ column: Int, _ element: Int) -> Void
    ) {
        let (h, w) = (image[2], image[3])
        var window = 0
        for plane in 0..<(image[0] * image[1]) {
            for i in 0..<output[2] {
                for j in 0..<output[3] {
                    forEachTap(i, j, in: (h, w)) { _, y, x in body(window, i, j, (plane * h + y) * w + x) }
                    window += 1
                }
            }
        }
    }

    /// Calls `body` with the tap and the input position for every tap of the window at output (`y`, `x`) that lies
    /// inside the image.
    @inline(__always)
    func forEachTap(_ y: Int, _ x: Int, in size: (h: Int, w: Int), _ body: (_ tap: Int, _ h: Int, _ w: Int) -> Void) {
        for i in 0..<kernel[0] {
            let h = y * stride[0] - padding[0] + i * dilation[0]
            guard h >= 0 && h < size.h else { continue }
            for j in 0..<kernel[1] {
                let w = x * stride[1] - padding[1] + j * dilation[1]
                if w >= 0 && w < size.w { body(i * kernel[1] + j, h, w) }
            }
        }
    }
}

extension ONNXNode {
    /// The window that ONNX's attributes describe, `auto_pad` resolved for an image of the given size.
    public func window(kernel: [Int], size: [Int], ceil: Bool = false) throws(ONNXImportError) -> Window {
        let n = kernel.count
        guard n == 2, size.count == 2 else { throw .unsupported("\(opType) over \(size.count) spatial dimensions") }
        var window = Window(kernel: kernel)
        window.stride = try ints("strides") ?? [1, 1]
        window.dilation = try ints("dilations") ?? [1, 1]
        guard window.stride.count == n, window.dilation.count == n,
            (window.stride + window.dilation).allSatisfy({ $0 > 0 })
        else {
            throw .malformed("strides and dilations need \(n) positive entries")
        }
        switch try string("auto_pad", default: "NOTSET") {
        case "NOTSET":
            window.padding = try ints("pads") ?? [0, 0, 0, 0]
            guard window.padding.count == 2 * n else { throw .malformed("pads needs \(2 * n) entries") }
        case "VALID": break
        case let mode where mode == "SAME_UPPER" || mode == "SAME_LOWER":
            for d in 0..<n {
                let out = (size[d] + window.stride[d] - 1) / window.stride[d]
                let total = max(0, (out - 1) * window.stride[d] + window.dilation[d] * (kernel[d] - 1) + 1 - size[d])
                window.padding[d] = mode == "SAME_UPPER" ? total / 2 : total - total / 2
                window.padding[d + n] = total - window.padding[d]
            }
        case let mode: throw .malformed("auto_pad '\(mode)' is unknown")
        }
        if ceil {
            // Rounding up is padding at the end, unless the last window would start in it.
            for d in 0..<n {
                let span = window.dilation[d] * (kernel[d] - 1) + 1
                let room = size[d] + window.padding[d] + window.padding[d + n] - span
                var steps = (room + window.stride[d] - 1) / window.stride[d]
                if steps * window.stride[d] >= size[d] + window.padding[d] { steps -= 1 }
                window.padding[d + n] += max(0, steps * window.stride[d] - room)
            }
        }
        return window
    }
}
