import IR

/// The same values in another element type: reals to integers truncate towards zero, anything non-zero is true.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Cast: Operator {
    public static let mnemonic = "cast"
    public var to = ElementType.f32

    public init() {}
    public init(to element: ElementType) { to = element }

    public var layoutRule: LayoutRule { .elementwise }
    public func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] {
        x[0].element.size == y[0].element.size ? [0] : []
    }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        [try x.single(for: self).with(element: to)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        if to == .bool { return [ReferenceTensor(y[0], integers: x[0].reals.map { $0 != 0 ? 1 : 0 })] }
        switch x[0].storage {
        case .real(let values): return [ReferenceTensor(y[0], values)]
        case .integer(let values):
            return [to.isFloatingPoint ? ReferenceTensor(y[0], x[0].reals) : ReferenceTensor(y[0], integers: values)]
        }
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        let from = g.type(of: p.operands[0]).element
        guard let dy = p.gradients[0], from.isFloatingPoint, to.isFloatingPoint else { return [nil] }
        return [try g.append(Cast(to: from), dy)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let half: [ElementType] = [.f16, .bf16]
        var helpers: [String] = []
        let body = CBody.elementwise(x, y[0]) { arguments in
            var value = arguments[0]
            if half.contains(x[0].element) {
                helpers.append("martlet_load_\(x[0].element.rawValue)")
                value = "martlet_load_\(x[0].element.rawValue)(\(value))"
            }
            if half.contains(to) {
                helpers.append("martlet_store_\(to.rawValue)")
                return "martlet_store_\(to.rawValue)((float)\(value))"
            }
            return to == .bool ? "\(value) != 0" : "(\(to.cType))\(value)"
        }
        return CBody(body.code, mathFunctions: body.mathFunctions, helpers: helpers)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        ONNXForm("Cast", since: 13, attributes: [("to", .int(to.onnxCode))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport(
                "Cast", versions: 6...21, elements: ElementType.allCases,
                refuses: "strings, 8-bit floats, 4-bit integers"
            ) {
                node, g throws(ONNXImportError) in
                let code = try node.int("to", default: 1), x = try node.required(0)
                guard let to = ElementType(onnxCode: code) else { throw .unsupported("Cast to ONNX type \(code)") }
                return try importing { () throws(ShapeError) in [try g.append(Cast(to: to), x, name: node.name)] }
            },
            ONNXImport("CastLike", versions: 15...21, elements: ElementType.allCases) {
                node, g throws(ONNXImportError) in
                let x = try node.required(0), to = g.type(of: try node.required(1)).element
                return try importing { () throws(ShapeError) in [try g.append(Cast(to: to), x, name: node.name)] }
            },
        ]
    }

    public static let specimens = [
        Specimen(Cast(to: .f64), on: .f32(2, 3)), Specimen(Cast(to: .i32), on: .f32(2, 3), differentiable: false),
        Specimen(Cast(to: .f32), on: .i64(2, 3), differentiable: false),
        Specimen(Cast(to: .bool), on: .i32(5), differentiable: false),
        Specimen(Cast(to: .f16), on: .f32(2, 3), differentiable: false),
        Specimen(Cast(to: .bf16), on: .f32(2, 3), differentiable: false),
    ]
}

extension ElementType {
    private static let onnxCodes: [(ElementType, Int)] = [
        (.f32, 1), (.u8, 2), (.i8, 3), (.u16, 4), (.i16, 5), (.i32, 6), (.i64, 7), (.bool, 9), (.f16, 10), (.f64, 11),
        (.u32, 12),
        (.u64, 13), (.bf16, 16),
    ]

    /// The number of the type in `TensorProto.DataType`.
    public var onnxCode: Int { Self.onnxCodes.first { $0.0 == self }!.1 }

    public init?(onnxCode: Int) {
        guard let known = Self.onnxCodes.first(where: { $0.1 == onnxCode }) else { return nil }
        self = known.0
    }
}
