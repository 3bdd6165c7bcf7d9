import CKernels
import IR

/// The operands one after another along an axis.
///
/// - Shapes: `xi: [A, Di, B] → y: [A, ΣDi, B]`.
public struct Concat: Operator {
    public static let mnemonic = "concat"
    public var axis = 1

    public init() {}
    public init(axis: Int) { self.axis = axis }

    public var layoutRule: LayoutRule { .following }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        guard let first = x.first else { throw ShapeError("concat expects at least one operand, found none") }
        let axis = try TensorType.axis(axis, rank: first.rank, for: self)
        var shape = first.shape
        shape[axis] = 0
        for operand in x {
            guard operand.element == first.element, operand.rank == first.rank,
                operand.shape.indices.allSatisfy({ $0 == axis || operand.shape[$0] == first.shape[$0] })
            else { throw ShapeError("concat along dimension \(axis): \(first) and \(operand) differ elsewhere") }
            shape[axis] += operand.shape[axis]
        }
        return [first.with(shape: shape)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        guard let axis = try? TensorType.axis(axis, rank: y[0].rank, for: self) else { return nil }
        let outer = y[0].shape[..<axis].reduce(1, *), inner = y[0].shape[(axis + 1)...].reduce(1, *)
        func joined<T>(_ parts: [[T]]) -> [T] {
            var result: [T] = []
            result.reserveCapacity(y[0].count)
            for o in 0..<outer {
                for (part, tensor) in zip(parts, x) {
                    let run = tensor.shape[axis] * inner
                    result += part[(o * run)..<((o + 1) * run)]
                }
            }
            return result
        }
        if y[0].element.isFloatingPoint { return [ReferenceTensor(y[0], joined(x.map(\.reals)))] }
        return [ReferenceTensor(y[0], integers: joined(x.map(\.integers)))]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return p.operands.map { _ in nil } }
        let shape = g.type(of: dy).shape, axis = try TensorType.axis(axis, rank: shape.count, for: self)
        var start = 0
        var gradients: [Value?] = []
        for (operand, needed) in zip(p.operands, p.needed) {
            let size = g.type(of: operand).shape[axis]
            gradients.append(needed ? try g.append(Slice(axis: axis, start: start, size: size, of: shape), dy) : nil)
            start += size
        }
        return gradients
    }
    /// One behind another where nothing is outside the axis: the result's memory is that of the operands.
    public func placedOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int]? {
        guard (x + y).allSatisfy({ $0.isDense && $0.layout == y[0].layout }),
            let axis = try? TensorType.axis(axis, rank: y[0].rank, for: self),
            y[0].memoryOrder.prefix(while: { $0 != axis }).allSatisfy({ y[0].shape[$0] == 1 })
        else { return nil }
        return x.indices.map { x[..<$0].reduce(0) { $0 + $1.byteCount } }
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard (x + y).allSatisfy({ $0.isDense && $0.layout == y[0].layout }),
            let axis = try? TensorType.axis(axis, rank: y[0].rank, for: self)
        else { return nil }
        let order = y[0].memoryOrder, at = order.firstIndex(of: axis) ?? 0
        func size(_ type: TensorType, _ dimensions: ArraySlice<Int>) -> Int {
            dimensions.reduce(1) { $0 * type.shape[$1] }
        }
        return KernelCall(
            martlet_concat,
            integers: [y[0].element.size, x.count, size(y[0], order[..<at])] + x.map { size($0, order[at...]) })
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        guard let axis = try? TensorType.axis(axis, rank: y[0].rank, for: self) else { return nil }
        let outer = y[0].shape[..<axis].reduce(1, *), inner = y[0].shape[(axis + 1)...].reduce(1, *)
        let total = y[0].shape[axis] * inner
        let mayBePlaced = placedOperands(x, y) != nil
        var code = "", start = 0
        for (i, operand) in x.enumerated() {
            let run = operand.shape[axis] * inner
            if run > 0 {
                if mayBePlaced { code += "if (x\(i) != y0 + \(start))\n" }
                code += "for (size_t o = 0; o < \(outer); ++o)\n"
                code +=
                    "    for (size_t i = 0; i < \(run); ++i) y0[o * \(total) + \(start) + i] = x\(i)[o * \(run) + i];\n"
            }
            start += run
        }
        return CBody(code)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm("Concat", since: 13, attributes: [("axis", .int(axis))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Concat", versions: 4...21, elements: ElementType.allCases) { node, g throws(ONNXImportError) in
                let op = Concat(axis: try node.int("axis", default: 1))
                let operands = node.inputs.compactMap { $0 }
                return try importing { () throws(ShapeError) in try g.appendAll(op, operands, name: node.name) }
            }
        ]
    }

    public static let specimens = [
        Specimen(Concat(axis: 1), on: .f32(2, 3, 4, 4), .f32(2, 1, 4, 4), .f32(2, 2, 4, 4)),
        Specimen(Concat(axis: 0), on: .i64(2), .i64(3)),
        Specimen(Concat(axis: -1), on: .f32(2, 3), .f32(2, 1)),
    ]
}
