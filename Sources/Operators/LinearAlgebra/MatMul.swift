import CKernels
import IR

/// Matrix product, batched over leading dimensions, which broadcast.
///
/// - Shapes: `a: [..., M, K], b: [..., K, N] → y: [..., M, N]`; `[K, M]` and `[N, K]` where transposed.
public struct MatMul: Operator {
    public static let mnemonic = "matmul"
    public var transposesA = false
    public var transposesB = false

    public init() {}
    public init(transposesA: Bool = false, transposesB: Bool = false) {
        self.transposesA = transposesA
        self.transposesB = transposesB
    }

    /// M, N and K, and the batch dimensions of the result.
    public struct Dimensions {
        public var m, n, k: Int
        public var batch: [Int]
    }

    public func dimensions(_ x: [TensorType]) throws(ShapeError) -> Dimensions {
        let x = try x.expect(2, for: self), (a, b) = (x[0], x[1])
        guard a.rank >= 2, b.rank >= 2, a.element == b.element else {
            throw ShapeError("matmul expects two matrices of one type, found \(a) and \(b)")
        }
        let (m, k) =
            transposesA ? (a.shape[a.rank - 1], a.shape[a.rank - 2]) : (a.shape[a.rank - 2], a.shape[a.rank - 1])
        let (k2, n) =
            transposesB ? (b.shape[b.rank - 1], b.shape[b.rank - 2]) : (b.shape[b.rank - 2], b.shape[b.rank - 1])
        guard k == k2 else { throw ShapeError("matmul: \(a) has \(k) columns, but \(b) has \(k2) rows") }
        let batch = try TensorType.broadcast(Array(a.shape.dropLast(2)), Array(b.shape.dropLast(2)), for: self)
        return Dimensions(m: m, n: n, k: k, batch: batch)
    }
    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let d = try dimensions(x)
        return [x[0].with(shape: d.batch + [d.m, d.n])]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        guard let d = try? dimensions(x.map(\.type)) else { return nil }
        let batches = x.map { Array($0.shape.dropLast(2)) }
        func product<T>(_ a: [T], _ b: [T], zero: T, _ add: (T, T, T) -> T) -> [T] {
            var result: [T] = []
            result.reserveCapacity(y[0].count)
            forEachBroadcast(d.batch, batches) { _, at in
                let (a0, b0) = (at[0] * d.m * d.k, at[1] * d.k * d.n)
                for i in 0..<d.m {
                    for j in 0..<d.n {
                        var sum = zero
                        for k in 0..<d.k {
                            sum = add(
                                sum, a[a0 + (transposesA ? k * d.m + i : i * d.k + k)],
                                b[b0 + (transposesB ? j * d.k + k : k * d.n + j)])
                        }
                        result.append(sum)
                    }
                }
            }
            return result
        }
        if y[0].element.isFloatingPoint {
            return [ReferenceTensor(y[0], product(x[0].reals, x[1].reals, zero: 0) { $0 + $1 * $2 })]
        }
        return [ReferenceTensor(y[0], integers: product(x[0].integers, x[1].integers, zero: 0) { $0 &+ $1 &* $2 })]
    }
    public func pullback(_ p: Pullback, in g: inout GraphBuilder) throws(ShapeError) -> [Value?]? {
        guard let dy = p.gradients[0] else { return [nil, nil] }
        let (a, b) = (p.operands[0], p.operands[1])
        var da: Value?, db: Value?
        if p.needed[0] {
            let full =
                transposesA
                ? try g.append(MatMul(transposesA: transposesB, transposesB: true), b, dy)
                : try g.append(MatMul(transposesB: !transposesB), dy, b)
            da = try g.sum(full, toShapeOf: a)
        }
        if p.needed[1] {
            let full =
                transposesB
                ? try g.append(MatMul(transposesA: true, transposesB: transposesA), dy, a)
                : try g.append(MatMul(transposesA: !transposesA), a, dy)
            db = try g.sum(full, toShapeOf: b)
        }
        return [da, db]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { (try? dimensions(x)).map { y[0].count * $0.k } }
    public func kernel(_ x: [TensorType], _ y: [TensorType]) -> KernelCall? {
        guard let d = try? dimensions(x), (x + y).allSatisfy(\.isKernelArray), y[0].count > 0 else { return nil }
        // An operand has all batch dimensions or none; anything between is left to the decomposition into broadcasts.
        let batches = d.batch.reduce(1, *), own = x.map { $0.shape.dropLast(2).reduce(1, *) }
        guard own.allSatisfy({ $0 == batches || $0 == 1 }) else { return nil }
        return KernelCall(
            martlet_matmul,
            integers: [batches, d.m, d.n, d.k, transposesA ? 1 : 0, transposesB ? 1 : 0] + own.map { $0 > 1 ? 1 : 0 }
                + [0],
            phases: 2, scratch: { martlet_matmul_scratch($0, Int32($1)) })
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        guard let d = try? dimensions(x) else { return nil }
        let strides = x.map { operand in
            broadcastStrides(Array(operand.shape.dropLast(2)), to: d.batch).map {
                $0 * operand.shape.suffix(2).reduce(1, *)
            }
        }
        let (batch, walks) = CBody.collapsed(d.batch, strides)
        let loops = batch.enumerated().map { "for (size_t i\($0) = 0; i\($0) < \($1); ++i\($0))" }.joined(
            separator: " ")
        func offset(_ strides: [Int]) -> String {
            strides.isEmpty ? "0" : strides.enumerated().map { "i\($0) * \($1)" }.joined(separator: " + ")
        }
        let (type, m) = (x[0].element.cType, CMath(x[0].element))
        // Walking k outside keeps both inner accesses contiguous when neither operand is transposed.
        let code = """
            size_t o = 0;
            \(loops) {
                const \(type) *restrict a = x0 + \(offset(walks[0])), *restrict b = x1 + \(offset(walks[1]));
                \(type) *restrict y = y0 + o;
                for (size_t i = 0; i < \(d.m); ++i) {
                    for (size_t j = 0; j < \(d.n); ++j) y[i * \(d.n) + j] = \(m.literal(0));
                    for (size_t k = 0; k < \(d.k); ++k) {
                        const \(type) v = a[\(transposesA ? "k * \(d.m) + i" : "i * \(d.k) + k")];
                        for (size_t j = 0; j < \(d.n); ++j) y[i * \(d.n) + j] += v * b[\(transposesB ? "j * \(d.k) + k" : "k * \(d.n) + j")];
                    }
                }
                o += \(d.m * d.n);
            }

            """
        return CBody(code)
    }
    public func decompose(_ x: [Value], in g: inout GraphBuilder) throws(ShapeError) -> [Value]? {
        guard transposesA || transposesB else { return nil }
        func swapped(_ value: Value, _ isTransposed: Bool, _ g: inout GraphBuilder) throws(ShapeError) -> Value {
            guard isTransposed else { return value }
            let rank = g.type(of: value).rank
            return try g.append(Transpose(Array(0..<(rank - 2)) + [rank - 1, rank - 2]), value)
        }
        return [try g.append(MatMul(), swapped(x[0], transposesA, &g), swapped(x[1], transposesB, &g))]
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        if !transposesA && !transposesB { return ONNXForm("MatMul", since: 13) }
        guard x[0].rank == 2, x[1].rank == 2 else { return nil }
        return ONNXForm(
            "Gemm", since: 13,
            attributes: [("transA", .int(transposesA ? 1 : 0)), ("transB", .int(transposesB ? 1 : 0))])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("MatMul", elements: ElementType.numbers) { node, g throws(ONNXImportError) in
                let a = try node.required(0), b = try node.required(1)
                return try importing { () throws(ShapeError) in [try g.matrixProduct(a, b, name: node.name)] }
            }
        ]
    }

    public static let specimens = [
        Specimen(MatMul(), on: .f32(3, 4), .f32(4, 5)), Specimen(MatMul(transposesA: true), on: .f32(4, 3), .f32(4, 5)),
        Specimen(MatMul(transposesB: true), on: .f32(3, 4), .f32(5, 4)),
        Specimen(MatMul(transposesA: true, transposesB: true), on: .f32(4, 3), .f32(5, 4)),
        Specimen(MatMul(), on: .f32(2, 1, 3, 4), .f32(5, 4, 2)),
        Specimen(MatMul(), on: .i32(2, 3), .i32(3, 2), differentiable: false),
    ]
}

extension GraphBuilder {
    /// NumPy's `matmul`: vectors count as one row or one column, which the result then lacks.
    public mutating func matrixProduct(_ a: Value, _ b: Value, name: String? = nil) throws(ShapeError) -> Value {
        let (ta, tb) = (type(of: a), type(of: b))
        let left = ta.rank == 1 ? try append(Reshape([1] + ta.shape), a) : a
        let right = tb.rank == 1 ? try append(Reshape(tb.shape + [1]), b) : b
        let product = try append(MatMul(), left, right, name: name)
        var shape = type(of: product).shape
        if tb.rank == 1 { shape.removeLast() }
        if ta.rank == 1 { shape.remove(at: shape.count - (tb.rank == 1 ? 1 : 2)) }
        return shape == type(of: product).shape ? product : try append(Reshape(shape), product)
    }
}
