import CKernels
import IR

/// The largest element of every window; padding never wins.
///
/// The gradient goes to the first maximum of the window in row-major order.
///
/// - Shapes: `x: [N, C, H, W] → y: [N, C, H', W']`.
public struct MaxPool2D: Pooling {
    public static let mnemonic = "max_pool2d"
    public var window = Window(kernel: [2, 2])

    public init() {}
    public init(_ window: Window) { self.window = window }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        [try window.pooled(try x.single(for: self), for: self)]
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
public struct MaxPool2DGradient: Pooling {
    public static let mnemonic = "max_pool2d_gradient"
    public var window = Window(kernel: [2, 2])

    public init() {}
    public init(_ window: Window) { self.window = window }

    public var isTrainingOnly: Bool { true }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self)
        guard try window.pooled(x[0], for: self) == x[1] else {
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

    public static let specimens = MaxPool2D.specimens.map { specimen in
        let window = (specimen.op as? MaxPool2D)?.window ?? Window(kernel: [2, 2]), x = specimen.operands[0].type
        let y = try? MaxPool2D(window).infer([x])[0]
        return Specimen(MaxPool2DGradient(window), on: x, y ?? x)
    }
}

/// The elements of `t` where the windows of `x` have their first maximum: the pullback of the max pool's gradient.
///
/// - Shapes: `x, t: [N, C, H, W] → y: [N, C, H', W']`.
public struct MaxPool2DSelection: Pooling {
    public static let mnemonic = "max_pool2d_selection"
    public var window = Window(kernel: [2, 2])

    public init() {}
    public init(_ window: Window) { self.window = window }

    public var isTrainingOnly: Bool { true }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self)
        guard x[0] == x[1] else {
            throw ShapeError("max_pool2d_selection expects two equal types, found \(x[0]) and \(x[1])")
        }
        return [try window.pooled(x[0], for: self)]
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

    public static let specimens = MaxPool2D.specimens.map { specimen in
        let window = (specimen.op as? MaxPool2D)?.window ?? Window(kernel: [2, 2])
        return Specimen(MaxPool2DSelection(window), on: specimen.operands[0].type, specimen.operands[0].type)
    }
}

extension Window {
    /// The linear index of the first maximum of every window, in row-major order of the window; `nil` where a window
    /// lies in the padding alone.
    func firstMaxima<R: Scalar>(_ x: ReferenceTensor<R>, _ output: [Int]) -> [Int?] {
        let values = x.reals
        var result = [Int?](repeating: nil, count: output.reduce(1, *))
        forEachElement(over: x.shape, output: output) { window, _, _, element in
            if result[window].map({ values[element] > values[$0] }) ?? true { result[window] = element }
        }
        return result
    }
}
