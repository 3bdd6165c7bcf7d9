import CKernels
import IR

/// An operator that folds elements along axes: `y = fold(x over axes)`.
///
/// - Shapes: `x: [any] → y: [the same with each axis 1, or left out]`. No axes means all of them.
public protocol Reduction: Operator {
    var axes: [Int] { get }
    var keepsDimensions: Bool { get }
    init(axes: [Int], keepsDimensions: Bool)

    func fold<R: Scalar>(_ values: [R]) -> R
    func fold(_ values: [Int64], _ element: ElementType) -> Int64
    /// C: the start of the accumulator, its update with `v`, and the result from the accumulator and the count.
    func accumulation(_ m: inout CMath, count: Int) -> (start: String, update: String, finish: String)
    /// Whether the update adds `v` as it is, so that a long sum can be made of parts.
    var isSum: Bool { get }
    static var elements: [ElementType] { get }
    static var onnxName: (opType: String, axesAreOperandSince: Int) { get }
    /// The opcode of the executor's kernel, where it has one.
    static var kernelCode: Int? { get }
}

extension Reduction {
    public static var elements: [ElementType] { ElementType.numbers }
    public static var kernelCode: Int? { nil }
    public var isSum: Bool { false }

    /// The axes from the front, ascending; all of them when none is named.
    func normalAxes(rank: Int) throws(ShapeError) -> [Int] {
        if axes.isEmpty { return Array(0..<rank) }
        var normal: [Int] = []
        for axis in axes { normal.append(try TensorType.axis(axis, rank: rank, for: self)) }
        return Set(normal).sorted()
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self)
        guard Self.elements.contains(x.element) else { throw ShapeError("\(mnemonic) does not take \(x)") }
        let axes = try normalAxes(rank: x.rank)
        let shape = x.shape.enumerated().compactMap { axes.contains($0) ? (keepsDimensions ? 1 : nil) : $1 }
        return [x.with(shape: shape)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        guard let axes = try? normalAxes(rank: x[0].shape.count) else { return nil }
        let kept = x[0].shape.enumerated().map { axes.contains($0) ? 1 : $1 }
        let strides = broadcastStrides(kept, to: x[0].shape)
        if x[0].element.isFloatingPoint {
            let values = x[0].reals
            var groups = [[R]](repeating: [], count: y[0].count)
            forEachIndex(x[0].shape, [strides]) { groups[$1[0]].append(values[$0]) }
            return [ReferenceTensor(y[0], groups.map { fold($0) })]
        }
        let values = x[0].integers
        var groups = [[Int64]](repeating: [], count: y[0].count)
        forEachIndex(x[0].shape, [strides]) { groups[$1[0]].append(values[$0]) }
        return [ReferenceTensor(y[0], integers: groups.map { fold($0, x[0].element) })]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard let code = Self.kernelCode, x[0].element == .f32, x[0].isDense, y[0].isDense,
            x[0].rank <= MARTLET_MAX_RANK,
            let axes = try? normalAxes(rank: x[0].rank), x[0].count > 0
        else { return nil }
        // The kernel leaves what is kept in the operand's order of memory, which has to be the result's.
        let order = x[0].memoryOrder, kept = x[0].shape.indices.filter { !axes.contains($0) }
        let target = y[0].memoryOrder.compactMap { d in keepsDimensions ? (axes.contains(d) ? nil : d) : kept[d] }
        let isWide = { (d: Int) in x[0].shape[d] > 1 }
        guard order.filter({ kept.contains($0) && isWide($0) }) == target.filter(isWide) else { return nil }
        return KernelCall(
            martlet_reduce,
            integers: [code, order.count] + order.map { x[0].shape[$0] }
                + order.map { axes.contains($0) ? 1 : 0 }, phases: 2,
            scratch: { martlet_reduce_scratch($0, Int32($1)) })
    }
    /// Channels-last images keep their layout where what is left of them is an image again, or has no image order.
    public var layoutRule: LayoutRule {
        let axes = Set(axes.map { $0 < 0 ? $0 + 4 : $0 })
        return keepsDimensions || axes.isEmpty || axes.isSuperset(of: [2, 3]) || axes.contains(1) ? .following : .plain
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        guard let axes = try? normalAxes(rank: x[0].rank) else { return nil }
        let strides = TensorType.strides(x[0].shape)
        let kept = x[0].shape.indices.filter { !axes.contains($0) }
        let count = axes.reduce(1) { $0 * x[0].shape[$1] }
        var math = CMath(x[0].element)
        let (start, update, finish) = accumulation(&math, count: count)
        // Dimensions that lie behind each other walk as one.
        let (outer, outerStrides) = CBody.collapsed(kept.map { x[0].shape[$0] }, [kept.map { strides[$0] }])
        let (inner, innerStrides) = CBody.collapsed(axes.map { x[0].shape[$0] }, [axes.map { strides[$0] }])
        func loops(_ letter: String, _ shape: [Int]) -> String {
            shape.enumerated().map { "for (size_t \(letter)\($0) = 0; \(letter)\($0) < \($1); ++\(letter)\($0))" }
                .joined(separator: " ")
        }
        func offset(_ letter: String, _ strides: [Int]) -> String {
            strides.isEmpty ? "0" : strides.enumerated().map { "\(letter)\($0) * \($1)" }.joined(separator: " + ")
        }
        let type = x[0].element.cType
        var body = """
            \(loops("b", inner)) {
                    const \(type) v = x[\(offset("b", innerStrides[0]))];
                    \(update)
                }
            """
        let part = 512
        if isSum, x[0].element.isFloatingPoint, inner.count == 1, count > 2 * part {
            // A long sum of its own loses a digit or more to what has piled up; sums of parts do not.
            body = """
                for (size_t start = 0; start < \(count); start += \(part)) {
                        const size_t end = start + \(part) < \(count) ? start + \(part) : \(count);
                        \(type) sum = \(math.literal(0));
                        for (size_t b0 = start; b0 < end; ++b0) sum += x[\(offset("b", innerStrides[0]))];
                        acc += sum;
                    }
                """
        }
        let code = """
            size_t o = 0;
            \(loops("a", outer)) {
                const \(type) *restrict x = x0 + \(offset("a", outerStrides[0]));
                \(type) acc = \(start);
                \(body)
                y0[o++] = \(finish);
            }

            """
        return CBody(code, mathFunctions: math.functions)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        let keeps = ("keepdims", ONNXAttribute.int(keepsDimensions ? 1 : 0))
        guard let axes = try? normalAxes(rank: x[0].rank) else { return nil }
        if Self.onnxName.axesAreOperandSince <= 17 {
            return ONNXForm(
                Self.onnxName.opType, since: Self.onnxName.axesAreOperandSince,
                inputs: [.operand(0), .constant(Literal(axes))],
                attributes: [keeps])
        }
        return ONNXForm(Self.onnxName.opType, since: 13, attributes: [("axes", .ints(axes)), keeps])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport(onnxName.opType, versions: 1...21, elements: elements, refuses: "axes that are not constant") {
                node, g throws(ONNXImportError) in
                try readReduction(node, &g) { axes, keeps in Self(axes: axes, keepsDimensions: keeps) }
            }
        ]
    }
}

extension Reduction {
    /// The result's gradient with every axis that was folded as 1, so that it broadcasts over the operand.
    func keptGradient(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> Value? {
        guard let dy = p.gradients[0] else { return nil }
        let kept = try Self(axes: axes, keepsDimensions: true).infer([g.type(of: p.operands[0])])
        return try g.append(Reshape(kept[0].shape), dy)
    }

    /// The gradient of a largest or smallest element: it goes to every element equal to the result.
    func extremePullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?] {
        guard let kept = try keptGradient(p, in: &g) else { return [nil] }
        let x = g.type(of: p.operands[0])
        let best = try g.append(Reshape(g.type(of: kept).shape), p.results[0])
        let chosen = try g.append(Cast(to: x.element), g.append(Equal(), p.operands[0], best))
        return [try g.append(Multiply(), chosen, kept)]
    }
}

/// Reads a reduction's axes from the attribute or the operand, with `noop_with_empty_axes`.
public func readReduction(
    _ node: ONNXNode, _ g: inout GraphBuilder, _ make: ([Int], Bool) -> any Operator
) throws(ONNXImportError) -> [Value] {
    let x = try node.required(0), keeps = try node.int("keepdims", default: 1) != 0
    var axes = try node.ints("axes") ?? []
    if node.input(1) != nil { axes = try node.integers(1, in: g, called: "axes") }
    if axes.isEmpty, try node.int("noop_with_empty_axes", default: 0) != 0 { return [x] }
    let op = make(axes, keeps)
    return try importing { () throws(ShapeError) in try g.appendAll(op, [x], name: node.name) }
}
