import CKernels
import IR

/// The largest element of every window; padding never wins.
///
/// The gradient goes to the first maximum of the window in row-major order.
///
/// - Shapes: `x: [N, C, H, W] → y: [N, C, H', W']`.
public struct MaxPool2D: Operator {
    public static let mnemonic = "max_pool2d"
    public var window = Window(kernel: [2, 2])

    public init() {}
    public init(_ window: Window) { self.window = window }

    public var layoutRule: LayoutRule { .image }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self).require(rank: 4, for: self)
        return [x.with(shape: Array(x.shape[..<2]) + (try window.output(Array(x.shape[2...]), for: self)))]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let at = window.firstMaxima(x[0], y[0].shape)
        if x[0].element.isFloatingPoint {
            let values = x[0].reals
            return [ReferenceTensor(y[0], at.map { $0.map { values[$0] } ?? -.infinity })]
        }
        let values = x[0].integers
        return [ReferenceTensor(y[0], integers: at.map { $0.map { values[$0] } ?? 0 })]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        return [try g.append(MaxPool2DGradient(window), p.operands[0], dy)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        .pool(martlet_max_pool, window, x[0], y[0], operands: x)
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let lowest = x[0].element.isFloatingPoint ? "-INFINITY" : x[0].element.smallestLiteral
        return window.c(x[0], y[0], start: lowest, update: "if (v > acc || v != v) acc = v;", finish: "acc")
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm("MaxPool", since: 12, attributes: window.onnxAttributes + [("dilations", .ints(window.dilation))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("MaxPool", elements: ElementType.floats + [.i8, .u8]) { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                guard !node.wants(1), g.type(of: x).rank == 4 else { return try g.maxPool(node, x) }
                let op = MaxPool2D(try node.pool(g.type(of: x)))
                return try importing { () throws(ShapeError) in [try g.append(op, x, name: node.name)] }
            },
            ONNXImport("GlobalMaxPool") { node, g throws(ONNXImportError) in
                let x = try node.required(0),
                    op = ReduceMax(axes: Array(2..<max(2, g.type(of: x).rank)), keepsDimensions: true)
                return try importing { () throws(ShapeError) in [try g.append(op, x, name: node.name)] }
            },
        ]
    }

    public static let specimens = [
        Specimen(MaxPool2D(Window(kernel: [2, 2], stride: [2, 2])), on: .f32(2, 3, 4, 6)),
        Specimen(MaxPool2D(Window(kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1])), on: .f32(1, 2, 5, 6)),
        Specimen(MaxPool2D(Window(kernel: [3, 2], dilation: [2, 1], padding: [1, 0, 2, 1])), on: .f32(1, 2, 6, 5)),
    ]
}

/// The gradient of a max pool: `dy` added where the first maximum of its window is.
///
/// - Shapes: `x: [N, C, H, W], dy: [N, C, H', W'] → dx: [same as x]`.
public struct MaxPool2DGradient: Operator {
    public static let mnemonic = "max_pool2d_gradient"
    public var window = Window(kernel: [2, 2])

    public init() {}
    public init(_ window: Window) { self.window = window }

    public var layoutRule: LayoutRule { .image }
    public var isTrainingOnly: Bool { true }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self)
        guard try MaxPool2D(window).infer([x[0]])[0] == x[1] else {
            throw ShapeError("max_pool2d_gradient: \(x[1]) is not what the pool makes of \(x[0])")
        }
        return [x[0]]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let dy = x[1].reals
        var result = [R](repeating: 0, count: y[0].count)
        for (out, at) in window.firstMaxima(x[0], x[1].shape).enumerated() { if let at { result[at] += dy[out] } }
        return [ReferenceTensor(y[0], result)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let d = p.gradients[0] else { return [nil, nil] }
        return [nil, try g.append(MaxPool2DSelection(window), p.operands[0], d)]
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        .pool(martlet_max_pool_gradient, window, x[0], x[1], operands: y)
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static let specimens = MaxPool2D.specimens.map { specimen in
        let window = (specimen.op as? MaxPool2D)?.window ?? Window(kernel: [2, 2]), x = specimen.operands[0].type
        let y = try? MaxPool2D(window).infer([x])[0]
        return Specimen(MaxPool2DGradient(window), on: x, y ?? x)
    }
}

/// The elements of `t` where the windows of `x` have their first maximum: the pullback of the max pool's gradient.
///
/// - Shapes: `x, t: [N, C, H, W] → y: [N, C, H', W']`.
public struct MaxPool2DSelection: Operator {
    public static let mnemonic = "max_pool2d_selection"
    public var window = Window(kernel: [2, 2])

    public init() {}
    public init(_ window: Window) { self.window = window }

    public var layoutRule: LayoutRule { .image }
    public var isTrainingOnly: Bool { true }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self)
        guard x[0] == x[1] else {
            throw ShapeError("max_pool2d_selection expects two equal types, found \(x[0]) and \(x[1])")
        }
        return try MaxPool2D(window).infer([x[0]])
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let t = x[1].reals
        return [ReferenceTensor(y[0], window.firstMaxima(x[0], y[0].shape).map { $0.map { t[$0] } ?? 0 })]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let d = p.gradients[0] else { return [nil, nil] }
        return [nil, try g.append(MaxPool2DGradient(window), p.operands[0], d)]
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        .pool(martlet_max_pool_selection, window, x[0], y[0], operands: x)
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static let specimens = MaxPool2D.specimens.map { specimen in
        let window = (specimen.op as? MaxPool2D)?.window ?? Window(kernel: [2, 2])
        return Specimen(MaxPool2DSelection(window), on: specimen.operands[0].type, specimen.operands[0].type)
    }
}

extension Window {
    /// The linear index of the first maximum of every window, in row-major order of the window; `nil` where a window
    /// lies in the padding alone.
    func firstMaxima<R: Scalar>(_ x: ReferenceTensor<R>, _ output: [Int]) -> [Int?] {
        let (h, w) = (x.shape[2], x.shape[3]), values = x.reals
        var result: [Int?] = []
        for plane in 0..<(x.shape[0] * x.shape[1]) {
            for i in 0..<output[2] {
                for j in 0..<output[3] {
                    var best: Int?
                    forEachTap(i, j, in: (h, w)) { _, y, x in
                        let at = (plane * h + y) * w + x
                        if best.map({ values[at] > values[$0] }) ?? true { best = at }
                    }
                    result.append(best)
                }
            }
        }
        return result
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
        return try window(kernel: kernel, size: Array(x.shape[2...]), ceil: try int("ceil_mode", default: 0) != 0)
    }
}
