import IR

/// The same tensor in another memory layout: the layout of the result's type.
///
/// Stands at the borders of channels-last regions; means nothing, costs a copy unless both layouts store the same order.
///
/// - Shapes: `x: [N, C, …] → y: [same]`.
public struct Reorder: Operator {
    public static let mnemonic = "reorder"

    public init() {}

    public var layoutRule: LayoutRule { .image }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] { [try x.single(for: self)] }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? { [x[0]] }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        // The gradient lies as the operand does.
        guard let dy = p.gradients[0] else { return [nil] }
        let dx = try g.append(Reorder(), dy)
        g.setType(of: dx, to: g.type(of: p.operands[0]))
        return [dx]
    }
    public func viewOffset(_ x: [TensorType], _ y: [TensorType]) -> Int? { x[0].isStored(like: y[0]) ? 0 : nil }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        x[0].isDense ? .copy(x[0], y[0], strides: x[0].memoryStrides) : nil
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 0 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        CBody("for (size_t i = 0; i < \(y[0].count); ++i) y0[i] = x0[i];\n")
    }

    public static let specimens = [Specimen(Reorder(), on: .f32(2, 3, 4, 5))]
}

extension TensorType {
    /// Whether two types of one shape store their elements in the same order.
    public func isStored(like other: TensorType) -> Bool {
        layout == other.layout || (isStoredInOrder && other.isStoredInOrder)
    }

    /// Whether the elements are stored in row-major order whatever the layout says.
    private var isStoredInOrder: Bool {
        guard case .channelsLast(let padding) = layout, rank > 1 else { return true }
        return shape[1] % padding == 0 && (shape[1] == 1 || shape[2...].allSatisfy { $0 == 1 })
    }
}
