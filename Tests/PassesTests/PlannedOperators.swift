import IR

/// Small operators with every property that a memory plan asks about.
enum Planned {
    /// `y = x0 + x1`, over either operand.
    struct Sum: Operator {
        static let mnemonic = "planned.sum"
        func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] { [try x.expect(2, for: self)[0]] }
        func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
            [ReferenceTensor(y[0], zip(x[0].reals, x[1].reals).map { $0 + $1 })]
        }
        func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [0, 1] }
    }

    /// `y = x reversed`: must not overwrite its operand.
    struct Reverse: Operator {
        static let mnemonic = "planned.reverse"
        func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] { [try x.single(for: self)] }
        func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
            [ReferenceTensor(y[0], x[0].reals.reversed())]
        }
    }

    /// `y = x0 + reversed x1`: may overwrite the first operand, unless both are the same.
    struct Fold: Operator {
        static let mnemonic = "planned.fold"
        func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] { [try x.expect(2, for: self)[0]] }
        func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
            [ReferenceTensor(y[0], zip(x[0].reals, x[1].reals.reversed()).map { $0 + $1 })]
        }
        func inPlaceOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int] { [0] }
    }

    /// A vector read as a column.
    struct View: Operator {
        static let mnemonic = "planned.view"
        func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
            let x = try x.single(for: self)
            return [x.with(shape: x.rank == 1 ? [x.count, 1] : [x.count])]
        }
        func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
            [ReferenceTensor(y[0], x[0].reals)]
        }
        var isView: Bool { true }
    }

    /// The second half of a vector.
    struct Half: Operator {
        static let mnemonic = "planned.half"
        func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
            let x = try x.single(for: self)
            return [x.with(shape: [x.count - x.count / 2])]
        }
        func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
            [ReferenceTensor(y[0], Array(x[0].reals.dropFirst(x[0].count / 2)))]
        }
        func viewOffset(_ x: [TensorType], _ y: [TensorType]) -> Int? { x[0].byteCount - y[0].byteCount }
    }

    struct Join: Operator {
        static let mnemonic = "planned.join"
        func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
            [TensorType(.f32, [x.reduce(0) { $0 + $1.count }])]
        }
        func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
            [ReferenceTensor(y[0], x.flatMap(\.reals))]
        }
        func placedOperands(_ x: [TensorType], _ y: [TensorType]) -> [Int]? {
            x.indices.map { x[..<$0].reduce(0) { $0 + $1.byteCount } }
        }
    }

    static let operators: [String: any Operator.Type] = [
        Sum.mnemonic: Sum.self, Reverse.mnemonic: Reverse.self, Fold.mnemonic: Fold.self, View.mnemonic: View.self,
        Half.mnemonic: Half.self, Join.mnemonic: Join.self, Parameter.mnemonic: Parameter.self,
        Constant.mnemonic: Constant.self,
    ]

    /// A random program of `count` nodes over vectors of 16 to 128 elements.
    static func randomGraph(seed: UInt64, count: Int) throws -> Graph {
        var random = RandomSource(seed: seed)
        var g = GraphBuilder(name: "random")
        var values = [
            g.input("x", .f32(32)), g.input("y", .f32(16)), g.constant(Literal([Float](repeating: 1, count: 32))),
        ]
        func pick(_ count: Int? = nil, in g: GraphBuilder, _ random: inout RandomSource) -> Value {
            let fitting = values.filter { value in count.map { g.type(of: value) == .f32($0) } ?? true }
            // Mostly recent values, so that older ones die.
            return fitting[max(0, fitting.count - 1 - random.integer(below: min(fitting.count, 6)))]
        }
        while g.graph.nodes.count < count {
            let x = pick(in: g, &random)
            let n = g.type(of: x).count
            let isVector = g.type(of: x).rank == 1
            switch random.integer(below: 6) {
            case 0 where isVector: values.append(try g.append(Sum(), x, pick(n, in: g, &random)))
            case 1 where isVector: values.append(try g.append(Fold(), x, pick(n, in: g, &random)))
            case 2 where isVector && n >= 32: values.append(try g.append(Half(), x))
            case 3 where isVector && n <= 64: values.append(try g.append(Join(), x, pick(in: g, &random)))
            case 4: values.append(try g.append(View(), x))
            default: values.append(try g.append(Reverse(), x))
            }
        }
        return g.finish(outputs: [values[values.count - 1], pick(in: g, &random), values[values.count - 1]])
    }
}
