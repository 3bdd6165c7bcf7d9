import CKernels
import IR

/// Adds elements before and after every dimension.
///
/// - Shapes: `x: [D0, D1, …] → y: [Di + before(i) + after(i)]`. Negative amounts crop.
public struct Pad: Operator {
    public enum Mode: String, Codable, Sendable { case constant, reflect, edge, wrap }

    public static let mnemonic = "pad"
    public var before: [Int] = []
    public var after: [Int] = []
    public var mode = Mode.constant
    public var value = 0.0

    public init() {}
    public init(before: [Int], after: [Int], mode: Mode = .constant, value: Double = 0) {
        self.before = before
        self.after = after
        self.mode = mode
        self.value = value
    }

    public var layoutRule: LayoutRule { mode == .constant ? .following : .plain }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self)
        guard before.count == x.rank, after.count == x.rank else {
            throw ShapeError("pad: before and after need \(x.rank) entries for \(x)")
        }
        let shape = x.shape.indices.map { x.shape[$0] + before[$0] + after[$0] }
        guard shape.allSatisfy({ $0 >= 0 }) else {
            throw ShapeError("pad: cropping \(x) by \(before) and \(after) leaves nothing")
        }
        guard mode != .reflect || x.shape.indices.allSatisfy({ max(before[$0], after[$0]) < x.shape[$0] }) else {
            throw ShapeError("pad: reflection by \(before) and \(after) needs more elements than \(x) has")
        }
        return [x.with(shape: shape)]
    }
    /// The index read for index `i` of a padded dimension of size `size`; `nil` for the constant.
    private func source(_ i: Int, _ d: Int, _ size: Int) -> Int? {
        let at = i - before[d]
        if (0..<size).contains(at) { return at }
        switch mode {
        case .constant: return nil
        case .edge: return min(max(at, 0), size - 1)
        case .wrap: return ((at % size) + size) % size
        case .reflect: return at < 0 ? -at : 2 * (size - 1) - at
        }
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let sources = y[0].shape.enumerated().map { d, size in (0..<size).map { source($0, d, x[0].shape[d]) } }
        let strides = TensorType.strides(x[0].shape), own = TensorType.strides(y[0].shape)
        func at(_ linear: Int) -> Int? {
            var offset = 0
            for d in y[0].shape.indices {
                guard let index = sources[d][linear / own[d] % y[0].shape[d]] else { return nil }
                offset += index * strides[d]
            }
            return offset
        }
        switch x[0].storage {
        case .real(let values):
            return [ReferenceTensor(y[0], (0..<y[0].count).map { at($0).map { values[$0] } ?? R(value) })]
        case .integer(let values):
            return [
                ReferenceTensor(
                    y[0], integers: (0..<y[0].count).map { at($0).map { values[$0] } ?? Int64(saturating: value) })
            ]
        }
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil] }
        guard mode == .constant else {
            throw ShapeError("pad: only constant padding has a gradient, found \(mode.rawValue)")
        }
        return [try g.append(Pad(before: before.map(-), after: after.map(-)), dy)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard mode == .constant, x[0].element == .f32, x[0].isDense, y[0].isDense, x[0].layout == y[0].layout else {
            return nil
        }
        let order = y[0].memoryOrder
        return KernelCall(
            martlet_pad,
            integers: [order.count] + order.map { x[0].shape[$0] } + order.map { before[$0] }
                + order.map { y[0].shape[$0] },
            reals: [value])
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let strides = TensorType.strides(x[0].shape)
        var code = "size_t o = 0;\n"
        for (d, size) in y[0].shape.enumerated() {
            code +=
                String(repeating: "    ", count: d)
                + "for (ptrdiff_t i\(d) = \(-before[d]); i\(d) < \(size - before[d]); ++i\(d))\n"
        }
        let indent = String(repeating: "    ", count: y[0].rank)
        if mode == .constant {
            let inside = x[0].shape.enumerated().compactMap { d, size in
                before[d] <= 0 && after[d] <= 0 ? nil : "i\(d) >= 0 && i\(d) < \(size)"
            }.joined(separator: " && ")
            let offset = x[0].shape.indices.map { "i\($0) * \(strides[$0])" }.joined(separator: " + ")
            let m = CMath(x[0].element)
            code +=
                indent
                + "y0[o++] = \(inside.isEmpty ? "1" : inside) ? x0[\(offset.isEmpty ? "0" : offset)] : \(m.literal(value));\n"
        } else {
            let offset = x[0].shape.enumerated().map { d, size in
                let i = "i\(d)"
                let index =
                    switch mode {
                    case .edge: "(\(i) < 0 ? 0 : \(i) >= \(size) ? \(size - 1) : \(i))"
                    case .wrap: "((\(i) % \(size) + \(size)) % \(size))"
                    default: "(\(i) < 0 ? -\(i) : \(i) >= \(size) ? \(2 * (size - 1)) - \(i) : \(i))"
                    }
                return "\(index) * \(strides[d])"
            }.joined(separator: " + ")
            code += indent + "y0[o++] = x0[\(offset)];\n"
        }
        return CBody(code)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        guard mode != .wrap else { return nil }
        let element = x[0].element
        return ONNXForm(
            "Pad", since: 13,
            inputs: [.operand(0), .constant(Literal(before + after)), .constant(Literal(scalar: value, element))],
            attributes: [("mode", .string(mode.rawValue))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Pad", elements: ElementType.numbers + [.bool], refuses: "amounts that are not constant") {
                node, g throws(ONNXImportError) in
                let x = try node.required(0), rank = g.type(of: x).rank
                var pads = try node.ints("pads") ?? [], value = try node.float("value", default: 0)
                if node.input(1) != nil { pads = try node.integers(1, in: g, called: "pads") }
                var computed: Value?
                if let operand = node.input(2) {
                    if let literal = g.constant(of: operand) {
                        value = literal.reals.first ?? 0
                    } else {
                        computed = operand
                    }
                }
                var axes = Array(0..<rank)
                if node.input(3) != nil {
                    axes = try node.integers(3, in: g, called: "axes").map { $0 < 0 ? $0 + rank : $0 }
                }
                guard pads.count == 2 * axes.count, axes.allSatisfy({ (0..<rank).contains($0) }) else {
                    throw .malformed("pads has \(pads.count) entries for \(axes.count) axes")
                }
                let name = try node.string("mode", default: "constant")
                guard let mode = Mode(rawValue: name) else { throw .malformed("mode '\(name)' is unknown") }
                var op = Pad(
                    before: .init(repeating: 0, count: rank), after: .init(repeating: 0, count: rank), mode: mode,
                    value: value)
                for (i, axis) in axes.enumerated() {
                    op.before[axis] = pads[i]
                    op.after[axis] = pads[axes.count + i]
                }
                let pad = op
                if let computed, mode == .constant {
                    // Padded with zeros, which are then replaced by the value.
                    let shape = g.type(of: x).shape, count = g.type(of: x).count
                    let ones = g.constant(Literal(.bool, shape, integers: .init(repeating: 1, count: count)))
                    let inside = try g.apply(pad, ones), fill = try g.apply(Reshape([]), computed)
                    return [try g.apply(Where(), inside, g.apply(pad, x), fill, name: node.name)]
                }
                return try importing { () throws(ShapeError) in [try g.append(pad, x, name: node.name)] }
            }
        ]
    }

    public static let specimens = [
        Specimen(Pad(before: [0, 0, 1, 2], after: [0, 0, 0, 1], value: 0.5), on: .f32(1, 2, 3, 3)),
        Specimen(Pad(before: [0, -1], after: [1, -1]), on: .f32(2, 4)),
        Specimen(Pad(before: [1, 2], after: [1, 2], mode: .reflect), on: .f32(2, 4), differentiable: false),
        Specimen(Pad(before: [1, 2], after: [1, 2], mode: .edge), on: .f32(2, 4), differentiable: false),
        Specimen(Pad(before: [1], after: [2], mode: .wrap), on: .i64(3), differentiable: false),
    ]
}
