import IR

/// Scaled dot-product attention of queries, keys and values that lie side by side: head by head,
/// `softmax(scale · q kᵀ) v`.
///
/// The meaning is the decomposition. Only the code generator's schedule makes it: no head is copied, and the scores of a few
/// queries at a time stay in the cache.
///
/// - Shapes: `x: [B, T, 3 · heads · D] → y: [B, T, heads · D]`; of a row first all queries, then all keys, then all values.
/// - Source: Vaswani et al., *Attention Is All You Need*, NeurIPS 2017, sections 3.2.1 and 3.2.2.
public struct Attention: Operator {
    public static let mnemonic = "attention"
    public var heads = 1
    public var scale = 1.0

    public init() {}
    public init(heads: Int, scale: Double) {
        self.heads = heads
        self.scale = scale
    }

    /// The sizes of the operand: batch, rows, and channels of one head.
    public func dimensions(_ x: TensorType) throws(ShapeError) -> (batch: Int, rows: Int, channels: Int) {
        guard x.rank == 3, heads > 0, x.shape[2] % (3 * heads) == 0 else {
            throw ShapeError("attention with \(heads) heads expects [B, T, 3 · \(heads) · D], found \(x)")
        }
        return (x.shape[0], x.shape[1], x.shape[2] / (3 * heads))
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.single(for: self).requireFloat(for: self), d = try dimensions(x)
        return [x.with(shape: [d.batch, d.rows, heads * d.channels])]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let d = try dimensions(g.type(of: x[0])), shape = [d.batch, heads, d.rows, d.channels]
        let split = try g.append(Reshape([d.batch, d.rows, 3, heads, d.channels]), x[0])
        let parts = try g.append(Transpose([2, 0, 3, 1, 4]), split)
        var operands: [Value] = []
        for i in 0..<3 {
            let part = try g.append(Slice(axis: 0, start: i, size: 1, of: g.type(of: parts).shape), parts)
            operands.append(try g.append(Reshape(shape), part))
        }
        let scores = try g.append(MatMul(transposesB: true), operands[0], operands[1])
        let scaled = try g.append(Multiply(), scores, g.constant(scale, like: scores))
        let mixed = try g.append(MatMul(), g.append(Softmax(), scaled), operands[2])
        return [
            try g.append(
                Reshape([d.batch, d.rows, heads * d.channels]), g.append(Transpose([0, 2, 1, 3]), mixed))
        ]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { 2 * y[0].count * x[0].shape[1] }

    public static let specimens = [
        Specimen(Attention(heads: 2, scale: 0.5), on: .f32(2, 3, 24), differentiable: false),
        Specimen(Attention(heads: 1, scale: 1), on: .f32(1, 4, 6), differentiable: false),
    ]
}
