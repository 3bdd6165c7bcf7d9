import CKernels
import IR

/// The mean of every window, over the elements inside the image or over the padding too.
///
/// - Shapes: `x: [N, C, H, W] → y: [N, C, H', W']`.
public struct AveragePool2D: Pooling {
    public static let mnemonic = "average_pool2d"
    public var window = Window(kernel: [2, 2])
    /// Whether zeros of the padding count. Windows that reach beyond the padding (`ceil_mode`) never count that part.
    public var countsPadding = false
    /// Rows and columns at the end of the padding that come from rounding the size up, and never count.
    public var excess = [0, 0]

    public init() {}
    public init(_ window: Window, countsPadding: Bool = false, excess: [Int] = [0, 0]) {
        self.window = window
        self.countsPadding = countsPadding
        self.excess = excess
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        [try window.pooled(try x.single(for: self).requireFloat(for: self), for: self)]
    }
    /// By how many elements each row and column of windows is divided.
    func divisors(_ size: [Int], _ output: [Int]) -> [[Int]] {
        (0..<2).map { d in
            (0..<output[d]).map { i in
                (0..<window.kernel[d]).count { tap in
                    let at = i * window.stride[d] - window.padding[d] + tap * window.dilation[d]
                    return countsPadding
                        ? at < size[d] + window.padding[d + 2] - excess[d] : at >= 0 && at < size[d]
                }
            }
        }
    }
    /// Calls `body` with output and input index and the weight of every element of every window.
    func forEach<R: Scalar>(_ image: [Int], _ output: [Int], _ body: (Int, Int, R) -> Void) {
        let counts = divisors(Array(image[2...]), Array(output[2...]))
        window.forEachElement(over: image, output: output) { out, i, j, element in
            body(out, element, 1 / R(max(counts[0][i] * counts[1][j], 1)))
        }
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let values = x[0].reals
        var result = [R](repeating: 0, count: y[0].count)
        forEach(x[0].shape, y[0].shape) { result[$0] += values[$1] * $2 }
        return [ReferenceTensor(y[0], result)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        return [try g.append(AveragePool2DGradient(self, image: g.type(of: p.operands[0]).shape), dy)]
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        kernelCall(martlet_average_pool, image: x[0], output: y[0])
    }
    func kernelCall(_ kernel: @escaping KernelCall.Function, image: TensorType, output: TensorType) -> KernelCall? {
        // What rounding up added to the padding is not counted, so the kernel sees the padding without it.
        var counted = window
        for d in 0..<2 { counted.padding[d + 2] -= excess[d] }
        return .pool(kernel, counted, image, output, extra: [countsPadding ? 1 : 0], operands: [])
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let m = CMath(x[0].element)
        if !countsPadding {
            return window.c(x[0], y[0], start: m.literal(0), update: "acc += v;", finish: "acc / (taps > 0 ? taps : 1)")
        }
        let counts = divisors(Array(x[0].shape[2...]), Array(y[0].shape[2...]))
        func table(_ values: [Int], _ index: String) -> String {
            Set(values).count == 1
                ? "\(values[0])" : "((const int[]){\(values.map(String.init).joined(separator: ", "))})[\(index)]"
        }
        return window.c(
            x[0], y[0], start: m.literal(0), update: "acc += v;",
            finish: "acc / (\(table(counts[0], "i")) * \(table(counts[1], "j")))")
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        guard window.dilation == [1, 1], excess == [0, 0] else { return nil }
        return ONNXForm(
            "AveragePool", since: 11,
            attributes: window.onnxAttributes + [("count_include_pad", .int(countsPadding ? 1 : 0))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("AveragePool") { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                guard g.type(of: x).rank == 4 else { return try g.averagePool(node, x) }
                let window = try node.pool(g.type(of: x))
                var plain = window
                if try node.int("ceil_mode", default: 0) != 0 {
                    plain = try node.window(kernel: window.kernel, size: Array(g.type(of: x).shape[2...]))
                }
                let op = AveragePool2D(
                    window, countsPadding: try node.int("count_include_pad", default: 0) != 0,
                    excess: [window.padding[2] - plain.padding[2], window.padding[3] - plain.padding[3]])
                return try importing { () throws(ShapeError) in [try g.append(op, x, name: node.name)] }
            },
            ONNXImport("GlobalAveragePool") { node, g throws(ONNXImportError) in
                let x = try node.required(0),
                    op = ReduceMean(axes: Array(2..<max(2, g.type(of: x).rank)), keepsDimensions: true)
                return try importing { () throws(ShapeError) in [try g.append(op, x, name: node.name)] }
            },
        ]
    }

    public static let specimens = [
        Specimen(AveragePool2D(Window(kernel: [2, 2], stride: [2, 2])), on: .f32(2, 3, 4, 6)),
        Specimen(AveragePool2D(Window(kernel: [3, 3], padding: [1, 1, 1, 1])), on: .f32(1, 2, 4, 5)),
        Specimen(
            AveragePool2D(Window(kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1]), countsPadding: true),
            on: .f32(1, 2, 5, 6)),
        Specimen(
            AveragePool2D(
                Window(kernel: [3, 3], stride: [2, 2], padding: [0, 0, 1, 1]), countsPadding: true, excess: [1, 1]),
            on: .f32(1, 2, 4, 4)),
    ]
}

/// The gradient of an average pool: `dy` spread evenly over its window.
///
/// - Shapes: `dy: [N, C, H', W'] → dx: [image]`.
public struct AveragePool2DGradient: Pooling {
    public static let mnemonic = "average_pool2d_gradient"
    public var pool = AveragePool2D()
    public var image: [Int] = []

    public init() {}
    public init(_ pool: AveragePool2D, image: [Int]) {
        self.pool = pool
        self.image = image
    }

    public var isTrainingOnly: Bool { true }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let dy = try x.single(for: self), dx = dy.with(shape: image)
        guard try pool.infer([dx])[0] == dy else {
            throw ShapeError("average_pool2d_gradient: \(dy) is not what the pool makes of \(dx)")
        }
        return [dx]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let dy = x[0].reals
        var result = [R](repeating: 0, count: y[0].count)
        pool.forEach(image, x[0].shape) { result[$1] += dy[$0] * $2 }
        return [ReferenceTensor(y[0], result)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let d = p.gradients[0] else { return [nil] }
        return [try g.append(pool, d)]
    }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        pool.kernelCall(martlet_average_pool_gradient, image: y[0], output: x[0])
    }

    public static let specimens = AveragePool2D.specimens.map { specimen in
        let pool = specimen.op as? AveragePool2D ?? AveragePool2D(), x = specimen.operands[0].type
        return Specimen(AveragePool2DGradient(pool, image: x.shape), on: (try? pool.infer([x])[0]) ?? x)
    }
}
