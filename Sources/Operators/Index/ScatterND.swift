import IR

/// `x` with slices of `updates` put, or combined, where index vectors say, in order.
///
/// Indices count as in ``Gather``.
///
/// - Shapes: `x: [D1…Dq, S…], indices: [I…, q], updates: [I…, S…] → y: [same as x]`.
public struct ScatterND: Operator {
    public static let mnemonic = "scatter_nd"
    public var reduction = ScatterReduction.none

    public init() {}
    public init(reduction: ScatterReduction) { self.reduction = reduction }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(3, for: self)
        let updates = try GatherND().infer([x[0], x[1]])[0]
        guard x[2] == updates else { throw ShapeError("scatter_nd: the updates should be \(updates), found \(x[2])") }
        return [x[0]]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let n = IndexVectors(x[0].shape, x[1].shape, 0)
        let positions = n.starts(x[1].integers).flatMap { start in (0..<n.slice).map { start + $0 } }
        return [x[0].putting(x[2], at: positions, { reduction.combine($0, $1) }, { reduction.combine($0, $1) })]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let n = IndexVectors(x[0].shape, x[1].shape, 0)
        let body = n.c { k, at in
            "for (size_t b = 0; b < \(n.slice); ++b) { \(reduction.statement("y0[\(at) + b]", "x2[\(k) * \(n.slice) + b]")) }"
        }
        return CBody("for (size_t i = 0; i < \(y[0].count); ++i) y0[i] = x0[i];\n" + body.code)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        guard x[1].element == .i64, reduction != .max, reduction != .min else { return nil }
        return ONNXForm("ScatterND", since: 16, attributes: [("reduction", .string(reduction.rawValue))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("ScatterND", versions: 11...21, elements: ElementType.allCases) {
                node, g throws(ONNXImportError) in
                let op = ScatterND(reduction: try node.scatterReduction())
                return [try g.apply(op, node.required(0), node.required(1), node.required(2), name: node.name)]
            }
        ]
    }

    public static let specimens = [
        Specimen(
            ScatterND(),
            operands: [
                .uniform(.f32(4, 3), -2...2), .literal(Literal([2, 0], shape: [2, 1])), .uniform(.f32(2, 3), -2...2),
            ],
            differentiable: false),
        Specimen(
            ScatterND(reduction: .add),
            operands: [.uniform(.f32(3, 2), -2...2), .integers(.i64(4, 2), 0...1), .uniform(.f32(4), -2...2)],
            differentiable: false),
    ]
}
