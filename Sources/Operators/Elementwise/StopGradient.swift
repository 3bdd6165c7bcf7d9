import IR

/// An operator whose result is its operand: a view of the same memory.
public protocol PassThrough: Operator {}

extension PassThrough {
    public var layoutRule: LayoutRule { .elementwise }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] { [try x.single(for: self)] }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? { [x[0]] }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? { [p.gradients[0]] }
    public var isView: Bool { true }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        .copy(x[0], y[0])
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? { .elementwise(x, y[0]) { $0[0] } }
}

/// The operand itself, through which no gradient passes.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct StopGradient: PassThrough {
    public static let mnemonic = "stop_gradient"

    public init() {}

    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? { [nil] }

    public static let specimens = [Specimen(StopGradient(), on: .f32(2, 3), differentiable: false)]
}

/// The operand itself, kept apart by common-subexpression elimination: a recomputation that must not merge with its
/// original passes through one.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Barrier: PassThrough {
    public static let mnemonic = "barrier"
    public var tag = 0

    public init() {}
    public init(tag: Int) { self.tag = tag }

    public static let specimens = [Specimen(Barrier(tag: 1), on: .f32(2, 3))]
}

/// The operand itself.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Identity: PassThrough {
    public static let mnemonic = "identity"

    public init() {}

    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? { ONNXForm("Identity", since: 13) }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Identity", elements: ElementType.allCases, refuses: "sequences and optionals") {
                node, g throws(ONNXImportError) in
                let x = try node.required(0)
                return try importing { () throws(ShapeError) in [try g.append(Identity(), x, name: node.name)] }
            },
            ONNXImport("Dropout", refuses: "training mode") { node, g throws(ONNXImportError) in
                if let mode = node.input(2), g.constant(of: mode)?.integers.first != 0 {
                    throw .unsupported("Dropout in training mode")
                }
                let x = try node.required(0)
                let y = try importing { () throws(ShapeError) in try g.append(Identity(), x, name: node.name) }
                guard node.wants(1) else { return [y] }
                return [
                    y,
                    g.constant(
                        Literal(.bool, g.type(of: x).shape, integers: .init(repeating: 1, count: g.type(of: x).count))),
                ]
            },
        ]
    }

    public static let specimens = [Specimen(Identity(), on: .f32(2, 3)), Specimen(Identity(), on: .bool(4))]
}
