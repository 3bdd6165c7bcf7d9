import IR

/// An operator over the windows of images: what a pool, its gradient and its selection have in common.
public protocol Pooling: Operator {}

extension Pooling {
    public var layoutRule: LayoutRule { .image }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
}

extension Window {
    /// The type of a pool of images `[N, C, H, W]`.
    func pooled(_ x: TensorType, for op: some Operator) throws(ShapeError) -> TensorType {
        let x = try x.require(rank: 4, for: op)
        return x.with(shape: Array(x.shape[..<2]) + (try output(Array(x.shape[2...]), for: op)))
    }

    /// A C body that folds every window: `acc` starts, `v` is each element inside the image, `taps` counts them.
    func c(_ x: TensorType, _ y: TensorType, start: String, update: String, finish: String) -> CBody {
        let (h, w) = (x.shape[2], x.shape[3]), type = x.element.cType
        return CBody(
            """
            size_t o = 0;
            for (ptrdiff_t n = 0; n < \(x.shape[0] * x.shape[1]); ++n)
                for (ptrdiff_t i = 0; i < \(y.shape[2]); ++i)
                    for (ptrdiff_t j = 0; j < \(y.shape[3]); ++j) {
                        \(type) acc = \(start);
                        int taps = 0;
                        for (ptrdiff_t r = 0; r < \(kernel[0]); ++r) {
                            const ptrdiff_t h = i * \(stride[0]) + r * \(dilation[0]) - \(padding[0]);
                            if (h < 0 || h >= \(h)) continue;
                            for (ptrdiff_t s = 0; s < \(kernel[1]); ++s) {
                                const ptrdiff_t w = j * \(stride[1]) + s * \(dilation[1]) - \(padding[1]);
                                if (w < 0 || w >= \(w)) continue;
                                const \(type) v = x0[(n * \(h) + h) * \(w) + w];
                                \(update)
                                ++taps;
                            }
                        }
                        (void)taps;
                        y0[o++] = \(finish);
                    }

            """)
    }

    var onnxAttributes: [(name: String, value: ONNXAttribute)] {
        [("kernel_shape", .ints(kernel)), ("strides", .ints(stride)), ("pads", .ints(padding))]
    }
}

extension ONNXNode {
    /// The window of a pooling node over an image of the given type.
    func pool(_ x: TensorType) throws(ONNXImportError) -> Window {
        guard x.rank == 4 else { throw .unsupported("\(opType) over \(x.rank - 2) spatial dimensions") }
        guard let kernel = try ints("kernel_shape"), kernel.count == 2 else {
            throw .malformed("kernel_shape needs 2 entries")
        }
        guard kernel.elementCount <= 1 << 16 else {
            throw .malformed("kernel_shape \(kernel) has more than 65536 taps")
        }
        return try window(kernel: kernel, size: Array(x.shape[2...]), ceil: try int("ceil_mode", default: 0) != 0)
    }
}
