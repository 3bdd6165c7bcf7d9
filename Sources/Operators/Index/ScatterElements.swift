import IR

/// How a scattered update meets the value that is there.
public enum ScatterReduction: String, Codable, Hashable, Sendable {
    case none, add, mul, max, min

    func combine<R: Scalar>(_ old: R, _ new: R) -> R {
        switch self {
        case .none: new
        case .add: old + new
        case .mul: old * new
        case .max: old.isNaN || old > new ? old : new
        case .min: old.isNaN || old < new ? old : new
        }
    }
    func combine(_ old: Int64, _ new: Int64) -> Int64 {
        switch self {
        case .none: new
        case .add: old &+ new
        case .mul: old &* new
        case .max: Swift.max(old, new)
        case .min: Swift.min(old, new)
        }
    }
    /// The C statement that combines `new` into `old`.
    func statement(_ old: String, _ new: String) -> String {
        switch self {
        case .none: "\(old) = \(new);"
        case .add: "\(old) += \(new);"
        case .mul: "\(old) *= \(new);"
        case .max: "if (\(old) < \(new)) \(old) = \(new);"
        case .min: "if (\(old) > \(new)) \(old) = \(new);"
        }
    }
}

/// `x` with `updates` put, or combined, at `[…, indices[i…], …]` along an axis, in order.
///
/// Indices count as in ``Gather``.
///
/// - Shapes: `x: [X…], indices, updates: [I…] (of equal rank) → y: [X…]`.
public struct ScatterElements: Operator {
    public static let mnemonic = "scatter_elements"
    public var axis = 0
    public var reduction = ScatterReduction.none

    public init() {}
    public init(axis: Int, reduction: ScatterReduction = .none) {
        self.axis = axis
        self.reduction = reduction
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(3, for: self)
        try checkElementIndices(x[0], x[1], axis, for: self)
        guard x[2] == x[0].with(shape: x[1].shape) else {
            throw ShapeError("scatter_elements: the updates should be \(x[0].with(shape: x[1].shape)), found \(x[2])")
        }
        return [x[0]]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let positions = elementPositions(x[0].shape, x[1].shape, axis, x[1].integers)
        return [x[0].putting(x[2], at: positions, { reduction.combine($0, $1) }, { reduction.combine($0, $1) })]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let body = elementLoops(x[0].shape, x[1].shape, axis, indices: "x1") { at, position in
            reduction.statement("y0[\(position)]", "x2[\(at)]")
        }
        return CBody("for (size_t i = 0; i < \(y[0].count); ++i) y0[i] = x0[i];\n" + body.code)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        // Maximum and minimum came with opset 18.
        guard reduction != .max, reduction != .min else { return nil }
        return ONNXForm(
            "ScatterElements", since: 16,
            attributes: [("axis", .int(axis)), ("reduction", .string(reduction.rawValue))])
    }
    public static var onnxImports: [ONNXImport] {
        ["Scatter", "ScatterElements"].map { name in
            ONNXImport(name, versions: 9...21, elements: ElementType.allCases) { node, g throws(ONNXImportError) in
                let x = try node.required(0)
                let op = ScatterElements(
                    axis: try node.axis(default: 0, rank: g.type(of: x).rank), reduction: try node.scatterReduction())
                return [try g.apply(op, x, node.required(1), node.required(2), name: node.name)]
            }
        }
    }

    public static let specimens = [
        Specimen(
            ScatterElements(axis: 1),
            operands: [
                .uniform(.f32(2, 4), -2...2), .literal(Literal([1, 3, 0, -1], shape: [2, 2])),
                .uniform(.f32(2, 2), -2...2),
            ],
            differentiable: false),
        Specimen(
            ScatterElements(axis: 0, reduction: .add),
            operands: [.uniform(.f32(3, 2), -2...2), .integers(.i64(3, 2), 0...2), .uniform(.f32(3, 2), -2...2)],
            differentiable: false),
        Specimen(
            ScatterElements(axis: 0, reduction: .max),
            operands: [.integers(.i64(3), -9...9), .integers(.i32(2), 0...2), .integers(.i64(2), -9...9)],
            differentiable: false),
    ]
}

extension ONNXNode {
    func scatterReduction() throws(ONNXImportError) -> ScatterReduction {
        let name = try string("reduction", default: "none")
        guard let reduction = ScatterReduction(rawValue: name) else {
            throw .malformed("reduction '\(name)' is unknown")
        }
        return reduction
    }
}
