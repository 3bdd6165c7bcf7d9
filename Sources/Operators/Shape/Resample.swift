import IR

/// Positions along an axis, each a weighted sum of others: `y[…, k, …] = Σₜ weights[t, k] · x[…, indices[t, k], …]`.
///
/// Indices count as in ``Gather``. Interpolation along one dimension is this with constant indices and weights; as one
/// operator it needs no memory for the single taps.
///
/// - Shapes: `x: [A…, D, B…], indices: [T, K], weights: [T, K] → y: [A…, K, B…]`, reals, the indices `i32` or `i64`.
public struct Resample: Operator {
    public static let mnemonic = "resample"
    public var axis = 0

    public init() {}
    public init(axis: Int) { self.axis = axis }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(3, for: self), source = try x[0].requireFloat(for: self)
        try x[1].requireIndices(for: self)
        let axis = try TensorType.axis(axis, rank: source.rank, for: self)
        guard x[1].rank == 2, x[1].shape[0] > 0, x[2].shape == x[1].shape, x[2].element == source.element,
            source.shape[axis] > 0
        else {
            throw ShapeError("resample: indices \(x[1]) and weights \(x[2]) do not fit axis \(axis) of \(source)")
        }
        var shape = source.shape
        shape[axis] = x[1].shape[1]
        return [source.with(shape: shape)]
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        let type = g.type(of: x[0]), axis = try TensorType.axis(axis, rank: type.rank, for: self)
        let shape = g.type(of: x[1]).shape, wide = [Int](repeating: 1, count: type.rank - axis - 1)
        var sum: Value?
        for tap in 0..<shape[0] {
            let row = Slice(axis: 0, start: tap, size: 1, of: shape)
            let indices = try g.append(Reshape([shape[1]]), g.append(row, x[1]))
            let weights = try g.append(Reshape([shape[1]] + wide), g.append(row, x[2]))
            let part = try g.append(Multiply(), g.append(Gather(axis: axis), x[0], indices), weights)
            sum = if let sum { try g.append(Add(), sum, part) } else { part }
        }
        return sum.map { [$0] }
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { y[0].count * x[1].shape[0] }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let shape = x[0].shape, axis = axis < 0 ? axis + shape.count : axis
        let outer = shape[..<axis].reduce(1, *), size = shape[axis], inner = shape[(axis + 1)...].reduce(1, *)
        let (taps, count) = (x[1].shape[0], x[1].shape[1])
        return CBody(
            """
            for (size_t a = 0; a < \(outer); ++a)
                for (size_t k = 0; k < \(count); ++k) {
                    size_t at[\(taps)];
                    for (size_t t = 0; t < \(taps); ++t) {
                        \(nearestText("i", "x1[t * \(count) + k]", size))
                        at[t] = (a * \(size) + (size_t)i) * \(inner);
                    }
                    for (size_t b = 0; b < \(inner); ++b) {
                        \(x[0].element.cType) sum = x2[k] * x0[at[0] + b];
                        for (size_t t = 1; t < \(taps); ++t) sum += x2[t * \(count) + k] * x0[at[t] + b];
                        y0[(a * \(count) + k) * \(inner) + b] = sum;
                    }
                }

            """)
    }

    public static let specimens: [Specimen] = {
        func specimen(_ op: Resample, _ type: TensorType, _ taps: Int, _ count: Int, _ range: ClosedRange<Int>)
            -> Specimen
        {
            Specimen(
                op,
                operands: [
                    .uniform(type, -2...2), .integers(.i64(taps, count), range),
                    .uniform(.f32(taps, count), -1...1),
                ], differentiable: false)
        }
        return [
            specimen(Resample(axis: 2), .f32(2, 3, 4, 5), 2, 7, 0...3),
            specimen(Resample(axis: -1), .f32(3, 6), 4, 3, -6...5), specimen(Resample(), .f32(4, 2), 1, 5, 0...3),
        ]
    }()
}
