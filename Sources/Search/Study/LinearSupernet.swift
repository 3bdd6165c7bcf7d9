import IR
import Operators
import Passes

/// Two edges of three operators, each a fixed random feature map: `prediction = Σ m_eo Φ_eo w_eo`, ridge loss inside,
/// squared error outside. The inner problem is a linear solve, so the true hypergradient is known: what estimates of it are
/// held against.
public struct LinearSupernet: BilevelProblem {
    public let edges = 2, operators = 3, features = 4, rows = 40
    private let graph: Graph
    public var weightCount: Int { edges * operators * features }

    public init(seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        var g = GraphBuilder(name: "linear")
        let (edges, operators, features, rows) = (edges, operators, features, rows)
        let w = g.input("w", .f64(edges * operators * features, 1)), m = g.input("m", .f64(edges * operators, 1))
        let v = g.input("v", .f64(edges * operators * features, 1))
        func normal(_ shape: [Int], _ deviation: Double = 1) -> Literal {
            Literal(.f64, shape, reals: (0..<shape.reduce(1, *)).map { _ in random.normal(deviation: deviation) })
        }
        func loss(_ ridge: Double) throws -> Value {
            var prediction: Value?
            for slot in 0..<(edges * operators) {
                // Features of unlike sizes, so that directions of the loss differ in curvature.
                let map = g.constant(normal([rows, features], 0.3 + 0.7 * Double(slot % operators)))
                let own = try g.append(
                    Slice(axis: 0, start: slot * features, size: features, of: [edges * operators * features, 1]), w)
                let weight = try g.append(Slice(axis: 0, start: slot, size: 1, of: [edges * operators, 1]), m)
                let term = try g.append(Multiply(), g.append(MatMul(), map, own), weight)
                prediction = try prediction.map { sum throws(ShapeError) in try g.append(Add(), sum, term) } ?? term
            }
            let target = g.constant(normal([rows, 1]))
            let error = try g.append(Subtract(), prediction ?? target, target)
            let fit = try g.append(ReduceSum(), g.append(Multiply(), error, error))
            let size = try g.append(ReduceSum(), g.append(Multiply(), w, w))
            return try g.append(
                Add(), g.append(Multiply(), fit, g.constant(0.5 / Double(rows), like: fit)),
                g.append(Multiply(), size, g.constant(ridge / 2, like: size)))
        }
        let inner = try loss(0.05), outer = try loss(0)
        let outerGradients = try g.gradients(of: [outer], wrt: [w, m])
        let innerGradients = try g.gradients(of: [inner], wrt: [w, m])
        let product = try g.append(ReduceSum(), g.append(Multiply(), innerGradients[0] ?? v, v))
        let second = try g.gradients(of: [product], wrt: [w, m])
        // Both losses depend on weights and mixture, so none of these is missing.
        let all = [outer] + (outerGradients + innerGradients + second).compactMap { $0 }
        graph = g.finish(outputs: all)
    }

    private func outputs(_ w: [Double], _ m: [Double], _ v: [Double]? = nil) throws -> [[Double]] {
        let inputs = [w, m, v ?? w].map { ReferenceTensor<Double>(.f64, [$0.count, 1], $0) }
        return try Interpreter.run(graph, inputs: inputs).map(\.reals)
    }
    public func outerLoss(_ w: [Double], _ m: [Double]) throws -> Double { try outputs(w, m)[0][0] }
    public func outerGradients(_ w: [Double], _ m: [Double]) throws -> (w: [Double], a: [Double]) {
        let all = try outputs(w, m)
        return (all[1], all[2])
    }
    public func innerGradient(_ w: [Double], _ m: [Double]) throws -> [Double] { try outputs(w, m)[3] }
    public func innerArchitectureGradient(_ w: [Double], _ m: [Double]) throws -> [Double] { try outputs(w, m)[4] }
    public func hessianProduct(_ w: [Double], _ m: [Double], _ v: [Double]) throws -> [Double] {
        try outputs(w, m, v)[5]
    }
    public func mixedProduct(_ w: [Double], _ m: [Double], _ v: [Double]) throws -> [Double] { try outputs(w, m, v)[6] }

    /// The weights that minimise the inner loss.
    public func solution(_ m: [Double]) throws -> [Double] {
        let n = weightCount, zero = [Double](repeating: 0, count: n)
        var matrix = try (0..<n).map { column in
            try hessianProduct(zero, m, (0..<n).map { $0 == column ? 1 : 0 })
        }
        let right = try innerGradient(zero, m)
        for row in 0..<n { matrix[row].append(-right[row]) }
        for column in 0..<n {
            let pivot = (column..<n).max { abs(matrix[$0][column]) < abs(matrix[$1][column]) } ?? column
            matrix.swapAt(pivot, column)
            for row in 0..<n where row != column {
                let factor = matrix[row][column] / matrix[column][column]
                for k in column...n { matrix[row][k] -= factor * matrix[column][k] }
            }
        }
        return (0..<n).map { matrix[$0][n] / matrix[$0][$0] }
    }

    public func largestEigenvalue(_ m: [Double]) throws -> Double {
        var v = [Double](repeating: 1, count: weightCount), value = 0.0
        for _ in 0..<200 {
            let next = try hessianProduct(v, m, v)
            value = next.reduce(0) { $0 + $1 * $1 }.squareRoot()
            v = next.map { $0 / value }
        }
        return value
    }
}

extension LinearSupernet {
    /// How estimates of the hypergradient with respect to parameters behind a relaxation compare with central differences
    /// of the outer loss at the solved weights.
    public mutating func compare(
        _ family: [Hypergradient], alpha: [[Double]], noise: [[Double]], _ relaxation: Relaxation
    ) throws -> [(cosine: Double, error: Double)] {
        func mixture(_ alpha: [[Double]]) -> [Double] {
            zip(alpha, noise).flatMap { relaxation.weights($0, noise: $1) }
        }
        func value(_ alpha: [[Double]]) throws -> Double {
            let m = mixture(alpha)
            return try outerLoss(solution(m), m)
        }
        var exact: [Double] = []
        for edge in 0..<edges {
            for o in 0..<operators {
                var up = alpha, down = alpha
                up[edge][o] += 1e-5
                down[edge][o] -= 1e-5
                exact.append((try value(up) - value(down)) / 2e-5)
            }
        }
        let m = mixture(alpha), w = try solution(m), step = try 1 / largestEigenvalue(m)
        return try family.map { member in
            let found = try member.estimate(&self, w, m, step: step).gradient
            let pulled = (0..<edges).flatMap { edge in
                relaxation.pullback(
                    Array(found[(operators * edge)..<(operators * (edge + 1))]), alpha[edge], noise: noise[edge])
            }
            let error = zip(pulled, exact).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
            return (SampleStatistics.cosine(pulled, exact), error)
        }
    }
}
