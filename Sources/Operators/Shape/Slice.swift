import CKernels
import IR

/// Elements `start, start + step, …` along every dimension.
///
/// - Shapes: `x: [D0, D1, …] → y: [sizes]`. All attributes have one entry a dimension; steps may be negative.
/// - Throws: ``ShapeError`` when an index falls outside.
public struct Slice: Operator {
    public static let mnemonic = "slice"
    public var starts: [Int] = []
    public var sizes: [Int] = []
    public var steps: [Int] = []

    public init() {}
    public init(starts: [Int], sizes: [Int], steps: [Int]? = nil) {
        self.starts = starts
        self.sizes = sizes
        self.steps = steps ?? starts.map { _ in 1 }
    }

    /// The part of one axis of a tensor of the given shape.
    public init(axis: Int, start: Int, size: Int, of shape: [Int]) {
        self.init(
            starts: shape.indices.map { $0 == axis ? start : 0 },
            sizes: shape.enumerated().map { $0 == axis ? size : $1 })
    }

    public var layoutRule: LayoutRule { .following }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self)
        guard [starts.count, sizes.count, steps.count] == [x.rank, x.rank, x.rank] else {
            throw ShapeError("slice: starts, sizes and steps need \(x.rank) entries for \(x)")
        }
        for d in 0..<x.rank where sizes[d] > 0 {
            let last = starts[d] + (sizes[d] - 1) * steps[d]
            guard (0..<x.shape[d]).contains(starts[d]), (0..<x.shape[d]).contains(last) else {
                throw ShapeError("slice: dimension \(d) reads \(starts[d])…\(last), but \(x) has \(x.shape[d]) there")
            }
        }
        return [x.with(shape: sizes)]
    }
    private func walk(_ shape: [Int]) -> (strides: [Int], start: Int) { walk(strides: TensorType.strides(shape)) }
    func walk(strides: [Int]) -> (strides: [Int], start: Int) {
        (zip(strides, steps).map(*), zip(strides, starts).map(*).reduce(0, +))
    }
    /// Where the elements lie in one run: inside of the outermost dimension that has more than one, all are taken.
    public func viewOffset(_ x: [TensorType], _ y: [TensorType]) -> Int? {
        guard x[0].isDense, y[0].isDense, x[0].layout == y[0].layout, y[0].count > 0 else { return nil }
        let inner = y[0].memoryOrder.drop { sizes[$0] == 1 }
        guard inner.allSatisfy({ steps[$0] == 1 }), inner.dropFirst().allSatisfy({ sizes[$0] == x[0].shape[$0] })
        else { return nil }
        return walk(strides: x[0].memoryStrides).start * x[0].element.size
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let (strides, start) = walk(x[0].shape)
        return [x[0].gathered(y[0], strides: strides, start: start)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        return [try g.append(SliceGradient(slice: self, shape: g.type(of: p.operands[0]).shape), dy)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        let (strides, start) = walk(strides: x[0].memoryStrides)
        return .copy(x[0], y[0], strides: strides, offset: y[0].count > 0 ? start : 0)
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        guard y[0].count > 0 else { return CBody("") }
        let (strides, start) = walk(x[0].shape)
        // Negative steps walk backwards from the start: the index arithmetic is signed.
        let signed = strides.contains { $0 < 0 }
        return .loops(y[0].shape, [strides]) { out, offsets in
            let offset =
                signed
                ? offsets[0].split(separator: " + ").map { "(ptrdiff_t)\($0)" }.joined(separator: " + ") : offsets[0]
            return "y0[\(out)] = x0[\(start) + \(offset)];"
        }
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        let ends = starts.indices.map { d in
            let end = starts[d] + sizes[d] * steps[d]
            return end < 0 ? -x[0].shape[d] - 1 : end
        }
        let operands = [starts, ends, Array(starts.indices), steps].map { ONNXForm.Input.constant(Literal($0)) }
        return ONNXForm("Slice", since: 13, inputs: [.operand(0)] + operands)
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Slice", elements: ElementType.allCases, refuses: "bounds that are not constant") {
                node, g throws(ONNXImportError) in
                let x = try node.required(0), shape = g.type(of: x).shape
                func list(_ index: Int, _ attribute: String) throws(ONNXImportError) -> [Int]? {
                    guard node.input(index) != nil else { return try node.ints(attribute) }
                    return try node.integers(index, in: g, called: attribute)
                }
                guard let starts = try list(1, "starts"), let ends = try list(2, "ends") else {
                    throw .malformed("starts and ends are missing")
                }
                let axes = try list(3, "axes") ?? Array(starts.indices),
                    steps = try list(4, "steps") ?? starts.map { _ in 1 }
                guard ends.count == starts.count, axes.count == starts.count, steps.count == starts.count else {
                    throw .malformed("starts, ends, axes and steps differ in length")
                }
                var op = Slice(starts: shape.map { _ in 0 }, sizes: shape)
                for i in starts.indices {
                    let axis = axes[i] < 0 ? axes[i] + shape.count : axes[i]
                    guard shape.indices.contains(axis), steps[i] != 0 else {
                        throw .malformed("axis \(axes[i]) or step \(steps[i]) is wrong")
                    }
                    let size = shape[axis], step = steps[i]
                    func clamp(_ value: Int, _ range: ClosedRange<Int>) -> Int {
                        min(max(value < 0 ? value + size : value, range.lowerBound), range.upperBound)
                    }
                    let start = step > 0 ? clamp(starts[i], 0...size) : clamp(starts[i], 0...max(size - 1, 0))
                    let end = step > 0 ? clamp(ends[i], 0...size) : clamp(ends[i], -1...max(size - 1, -1))
                    let distance = step > 0 ? end - start : start - end
                    op.starts[axis] = start
                    op.steps[axis] = step
                    op.sizes[axis] = size == 0 || distance <= 0 ? 0 : (distance - 1) / abs(step) + 1
                }
                let slice = op
                return try importing { () throws(ShapeError) in [try g.append(slice, x, name: node.name)] }
            }
        ]
    }

    public static let specimens = [
        Specimen(Slice(starts: [0, 1, 2], sizes: [2, 2, 1]), on: .f32(2, 3, 4)),
        Specimen(Slice(starts: [1, 5], sizes: [1, 3], steps: [1, -2]), on: .f32(2, 6)),
        Specimen(Slice(starts: [0, 0, 1, 1], sizes: [1, 2, 3, 2], steps: [1, 1, 1, 2]), on: .f32(1, 2, 4, 5)),
        Specimen(Slice(starts: [1], sizes: [2]), on: .i64(4)),
    ]
}

/// The gradient of a slice: `dy` put where it was read, zero elsewhere.
///
/// - Shapes: `dy: [sizes] → dx: [shape]`.
public struct SliceGradient: Operator {
    public static let mnemonic = "slice_gradient"
    public var slice = Slice()
    public var shape: [Int] = []

    public init() {}
    public init(slice: Slice, shape: [Int]) {
        self.slice = slice
        self.shape = shape
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let dy = try x.single(for: self)
        guard try slice.infer([dy.with(shape: shape)])[0] == dy else {
            throw ShapeError("slice_gradient: \(dy) is not what the slice takes from \(shape)")
        }
        return [dy.with(shape: shape)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let strides = TensorType.strides(shape), values = x[0].reals
        var result = [R](repeating: 0, count: y[0].count)
        let start = zip(strides, slice.starts).map(*).reduce(0, +)
        forEachIndex(x[0].shape, [zip(strides, slice.steps).map(*)], start: [start]) { result[$1[0]] = values[$0] }
        return [ReferenceTensor(y[0], result)]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        return [try g.append(slice, dy)]
    }
    public var isTrainingOnly: Bool { true }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        // The slice's copy with the sides exchanged, into zeros.
        guard x[0].count > 0, x[0].isDense, y[0].isDense, x[0].rank <= MARTLET_MAX_RANK else { return nil }
        let (strides, start) = slice.walk(strides: y[0].memoryStrides), order = x[0].memoryOrder
        let sizes = order.map { x[0].shape[$0] }, own = order.map { x[0].memoryStrides[$0] }
        return KernelCall(
            martlet_scatter,
            integers: [y[0].element.size, order.count, 0, start] + sizes + own + order.map { strides[$0] } + [
                y[0].count
            ],
            phases: 2)
    }
    public var layoutRule: LayoutRule { .following }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }

    public static let specimens = [
        Specimen(
            SliceGradient(slice: Slice(starts: [0, 1, 2], sizes: [2, 2, 1]), shape: [2, 3, 4]), on: .f32(2, 2, 1)),
        Specimen(
            SliceGradient(slice: Slice(starts: [1, 5], sizes: [1, 3], steps: [1, -2]), shape: [2, 6]), on: .f32(1, 3)),
    ]
}
