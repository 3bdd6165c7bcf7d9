import Execution
import IR
import Operators
import Passes
import Search
import Testing
import Training

/// `inner = ½ w'Aw - w'Ba`, `outer = ½|w - t|² + c/2 |a|²`, differentiated by the graph transform: the products come from
/// the same machinery as a network's.
private struct QuadraticBilevel: BilevelProblem {
    let d = 6, m = 3
    let a, b, t: [Double]
    let c = 0.3
    private let graph: Graph
    /// Runs the graph in single precision, as networks run; `nil` for the definitions in double precision.
    private var executed: (any GraphProgram)?

    init(seed: UInt64, condition: Double? = nil, element: ElementType = .f64) throws {
        var random = RandomSource(seed: seed)
        func normal(_ count: Int, _ random: inout RandomSource) -> [Double] { (0..<count).map { _ in random.normal() } }
        let d = d, m = m
        if let condition {
            a = (0..<(d * d)).map { $0 / d == $0 % d ? 1 + (condition - 1) * Double($0 / d) / Double(d - 1) : 0 }
        } else {
            let root = normal(d * d, &random)
            a = (0..<(d * d)).map { ij in
                (0..<d).reduce(ij / d == ij % d ? 0.1 : 0) { $0 + root[$1 * d + ij / d] * root[$1 * d + ij % d] }
            }
        }
        b = normal(d * m, &random)
        t = normal(d, &random)

        var g = GraphBuilder(name: "quadratic")
        let w = g.input("w", TensorType(element, [d, 1])), alpha = g.input("a", TensorType(element, [m, 1]))
        let v = g.input("v", TensorType(element, [d, 1]))
        let bigA = g.constant(Literal(element, [d, d], reals: a)),
            bigB = g.constant(Literal(element, [d, m], reals: b))
        let target = g.constant(Literal(element, [d, 1], reals: t))
        func dot(_ x: Value, _ y: Value, _ g: inout GraphBuilder) throws(ShapeError) -> Value {
            try g.append(ReduceSum(), g.append(Multiply(), x, y))
        }
        let quadratic = try dot(w, g.append(MatMul(), bigA, w), &g)
        let inner = try g.append(
            Subtract(), g.append(Multiply(), quadratic, g.constant(0.5, like: quadratic)),
            dot(w, g.append(MatMul(), bigB, alpha), &g))
        let distance = try g.append(Subtract(), w, target)
        let fit = try dot(distance, distance, &g), size = try dot(alpha, alpha, &g)
        let outer = try g.append(
            Add(), g.append(Multiply(), fit, g.constant(0.5, like: fit)),
            g.append(Multiply(), size, g.constant(c / 2, like: size)))
        let outerGradients = try g.gradients(of: [outer], wrt: [w, alpha])
        let innerGradients = try g.gradients(of: [inner], wrt: [w, alpha])
        let product = try dot(#require(innerGradients[0]), v, &g)
        let second = try g.gradients(of: [product], wrt: [w, alpha])
        let all = try (outerGradients + innerGradients + second).map { try #require($0) }
        graph = g.finish(outputs: all)
        guard element == .f32 else { return }
        executed = try Backend.executor(pool: ThreadPool(threads: 1), effort: .quick).program(graph, parameters: [])
    }

    private func outputs(_ w: [Double], _ a: [Double], _ v: [Double]? = nil) throws -> [[Double]] {
        if let executed {
            let inputs = [w, a, v ?? w].map { $0.map { Float($0) } }
            try inputs[0].withUnsafeBytes { w in
                try inputs[1].withUnsafeBytes { a in
                    try inputs[2].withUnsafeBytes { v in
                        try executed.run([w, a, v].map { try #require($0.baseAddress) })
                    }
                }
            }
            return graph.outputs.indices.map { executed.output($0).map(Double.init) }
        }
        let inputs = [(w, d), (a, m), (v ?? w, d)].map { ReferenceTensor<Double>(.f64, [$1, 1], $0) }
        return try Interpreter.run(graph, inputs: inputs).map(\.reals)
    }
    func outerGradients(_ w: [Double], _ a: [Double]) throws -> (w: [Double], a: [Double]) {
        let all = try outputs(w, a)
        return (all[0], all[1])
    }
    func innerGradient(_ w: [Double], _ a: [Double]) throws -> [Double] { try outputs(w, a)[2] }
    func innerArchitectureGradient(_ w: [Double], _ a: [Double]) throws -> [Double] { try outputs(w, a)[3] }
    func hessianProduct(_ w: [Double], _ a: [Double], _ v: [Double]) throws -> [Double] { try outputs(w, a, v)[4] }
    func mixedProduct(_ w: [Double], _ a: [Double], _ v: [Double]) throws -> [Double] { try outputs(w, a, v)[5] }

    // The closed form, in plain loops.
    func timesA(_ v: [Double]) -> [Double] { (0..<d).map { i in (0..<d).reduce(0) { $0 + a[i * d + $1] * v[$1] } } }
    func timesBTransposed(_ v: [Double]) -> [Double] {
        (0..<m).map { j in (0..<d).reduce(0) { $0 + b[$1 * m + j] * v[$1] } }
    }
    func timesB(_ x: [Double]) -> [Double] { (0..<d).map { i in (0..<m).reduce(0) { $0 + b[i * m + $1] * x[$1] } } }
    func solveA(_ right: [Double]) -> [Double] {
        var matrix = (0..<d).map { i in Array(a[(i * d)..<((i + 1) * d)]) + [right[i]] }
        for column in 0..<d {
            let pivot = (column..<d).max { abs(matrix[$0][column]) < abs(matrix[$1][column]) }!
            matrix.swapAt(pivot, column)
            for row in 0..<d where row != column {
                let factor = matrix[row][column] / matrix[column][column]
                for k in column...d { matrix[row][k] -= factor * matrix[column][k] }
            }
        }
        return (0..<d).map { matrix[$0][d] / matrix[$0][$0] }
    }
    var largestEigenvalue: Double {
        var v = [Double](repeating: 1, count: d), value = 0.0
        for _ in 0..<2000 {
            let next = timesA(v)
            value = norm(next)
            v = next.map { $0 / value }
        }
        return value
    }
}

/// The quadratic in plain loops, its Hessian perturbed by symmetric noise of mean zero: anew for every product, or once an
/// estimate.
private struct NoisyQuadratic: BilevelProblem {
    let exact: QuadraticBilevel
    let deviation: Double
    let independent: Bool
    var random: RandomSource
    private var noise: [Double] = []

    init(exact: QuadraticBilevel, deviation: Double, independent: Bool, random: RandomSource) {
        (self.exact, self.deviation, self.independent, self.random) = (exact, deviation, independent, random)
    }

    mutating func draw() {
        let d = exact.d
        noise = [Double](repeating: 0, count: d * d)
        for i in 0..<d {
            for j in i..<d {
                let value = random.normal(deviation: deviation / Double(d))
                (noise[i * d + j], noise[j * d + i]) = (value, value)
            }
        }
    }
    func outerGradients(_ w: [Double], _ a: [Double]) -> (w: [Double], a: [Double]) {
        (zip(w, exact.t).map { $0 - $1 }, a.map { exact.c * $0 })
    }
    func innerGradient(_ w: [Double], _ a: [Double]) -> [Double] {
        zip(exact.timesA(w), exact.timesB(a)).map { $0 - $1 }
    }
    func innerArchitectureGradient(_ w: [Double], _ a: [Double]) -> [Double] {
        exact.timesBTransposed(w).map { -$0 }
    }
    mutating func hessianProduct(_ w: [Double], _ a: [Double], _ v: [Double]) -> [Double] {
        if independent { draw() }
        let d = exact.d
        return zip(exact.timesA(v), 0..<d).map { value, i in (0..<d).reduce(value) { $0 + noise[i * d + $1] * v[$1] } }
    }
    func mixedProduct(_ w: [Double], _ a: [Double], _ v: [Double]) -> [Double] {
        exact.timesBTransposed(v).map { -$0 }
    }
}

private func norm(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }
private func relative(_ x: [Double], _ y: [Double]) -> Double { norm(zip(x, y).map { $0 - $1 }) / max(norm(y), 1e-300) }

@Suite struct HypergradientTests {
    @Test(arguments: [0, 1, 2, 5, 20, 200])
    func truncatedNeumannEqualsItsClosedForm(terms: Int) throws {
        var problem = try QuadraticBilevel(seed: 11)
        let a = [0.4, -0.7, 1.1], w = problem.solveA(problem.timesB(a))
        let step = 1 / problem.largestEigenvalue
        let found = try Hypergradient.neumann(terms).estimate(&problem, w, a, step: step)
        #expect(found.terms == terms && !found.diverged)
        // c a + γ B' Σ_k (I - γA)^k (w* - t)
        var v = zip(w, problem.t).map { $0 - $1 }, sum = [Double](repeating: 0, count: problem.d)
        for _ in 0...terms {
            sum = zip(sum, v).map { $0 + $1 }
            v = zip(v, problem.timesA(v)).map { $0 - step * $1 }
        }
        let closed = zip(a, problem.timesBTransposed(sum)).map { problem.c * $0 + step * $1 }
        #expect(relative(found.gradient, closed) < 1e-6)
        // The error to the exact gradient is exactly -B'(I - γA)^(K+1) A⁻¹ (w* - t).
        let exact = zip(a, problem.timesBTransposed(problem.solveA(zip(w, problem.t).map { $0 - $1 }))).map {
            problem.c * $0 + $1
        }
        let rest = problem.timesBTransposed(problem.solveA(v)).map { -$0 }
        #expect(relative(zip(found.gradient, exact).map { $0 - $1 }, rest) < 1e-6)
        // In single precision on the executor, where networks get theirs.
        var single = try QuadraticBilevel(seed: 11, element: .f32)
        #expect(relative(try Hypergradient.neumann(terms).estimate(&single, w, a, step: step).gradient, closed) < 1e-3)
    }

    /// With independent noise in every Hessian product the mean estimate is the truncated series of the mean Hessian; one
    /// batch for all products would average powers of a noisy matrix, and the same test finds that.
    @Test(arguments: [true, false]) func independentBatchesKeepTheSeriesUnbiased(independent: Bool) throws {
        let exactProblem = try QuadraticBilevel(seed: 17, condition: 3), a = [0.4, -0.7, 1.1], terms = 2, count = 10_000
        let w = exactProblem.solveA(exactProblem.timesB(a)), step = 1 / exactProblem.largestEigenvalue
        var v = zip(w, exactProblem.t).map { $0 - $1 }, sum = [Double](repeating: 0, count: exactProblem.d)
        for _ in 0...terms {
            sum = zip(sum, v).map { $0 + $1 }
            v = zip(v, exactProblem.timesA(v)).map { $0 - step * $1 }
        }
        let closed = zip(a, exactProblem.timesBTransposed(sum)).map { exactProblem.c * $0 + step * $1 }
        var noisy = NoisyQuadratic(
            exact: exactProblem, deviation: 0.25 / step, independent: independent, random: RandomSource(seed: 18))
        var mean = [0.0, 0, 0], squares = [0.0, 0, 0]
        for _ in 0..<count {
            noisy.draw()
            let found = try Hypergradient.neumann(terms).estimate(&noisy, w, a, step: step).gradient
            for i in 0..<3 {
                mean[i] += found[i] / Double(count)
                squares[i] += found[i] * found[i] / Double(count)
            }
        }
        let scores = (0..<3).map { i in
            abs(mean[i] - closed[i]) / ((squares[i] - mean[i] * mean[i]) / Double(count)).squareRoot()
        }
        if independent {
            #expect(scores.max()! < 3, "\(scores)")
        } else {
            #expect(scores.max()! > 5, "\(scores)")
        }
    }

    @Test func moreTermsComeCloserToFiniteDifferences() throws {
        var problem = try QuadraticBilevel(seed: 12)
        let a = [0.4, -0.7, 1.1], w = problem.solveA(problem.timesB(a))
        let step = 1 / problem.largestEigenvalue
        // F(a) = outer(w*(a), a), by central differences.
        func value(_ a: [Double]) -> Double {
            let w = problem.solveA(problem.timesB(a))
            return zip(w, problem.t).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / 2
                + a.reduce(0) { $0 + problem.c / 2 * $1 * $1 }
        }
        let exact = a.indices.map { i in
            var up = a, down = a
            up[i] += 1e-5
            down[i] -= 1e-5
            return (value(up) - value(down)) / 2e-5
        }
        let family: [Hypergradient] = [.partial, .neumann(0), .neumann(2), .neumann(20), .neumann(200)]
        var errors: [Double] = []
        for member in family {
            errors.append(relative(try member.estimate(&problem, w, a, step: step).gradient, exact))
        }
        #expect(zip(errors, errors.dropFirst()).allSatisfy { $0 > $1 }, "\(errors)")
        let last = try Hypergradient.neumann(200).estimate(&problem, w, a, step: step).gradient
        #expect(SampleStatistics.cosine(last, exact) > 0.999)
    }

    @Test func aWellConditionedHessianNeedsFewTerms() throws {
        var problem = try QuadraticBilevel(seed: 13, condition: 3)
        let a = [0.4, -0.7, 1.1], w = problem.solveA(problem.timesB(a))
        let exact = zip(a, problem.timesBTransposed(problem.solveA(zip(w, problem.t).map { $0 - $1 }))).map {
            problem.c * $0 + $1
        }
        let found = try Hypergradient.neumann(2).estimate(&problem, w, a, step: 1.0 / 3).gradient
        #expect(relative(found, exact) < 0.3)
    }

    /// Second-order DARTS: `∇_a outer(w') + ξ B' ∇_w outer(w')` with `w' = w - ξ ∇_w inner(w)`; the difference quotient is
    /// exact for a quadratic, and dividing by `2ε` in the wrong order is not.
    @Test(arguments: [Hypergradient.MixedTerm.exact, .finiteDifference(epsilon: 0.01)])
    func aVirtualStepIsTheTermZero(mixed: Hypergradient.MixedTerm) throws {
        var problem = try QuadraticBilevel(seed: 14)
        let w = [0.3, -0.2, 0.9, 1.4, -1.0, 0.1], a = [0.4, -0.7, 1.1], step = 0.05
        let virtual = zip(w, try problem.innerGradient(w, a)).map { $0 - step * $1 }
        let found = try Hypergradient(terms: 0, at: .virtual, mixedTerm: mixed)
            .estimate(&problem, w, a, step: step, virtualWeights: virtual)
        let closed = zip(a, problem.timesBTransposed(zip(virtual, problem.t).map { $0 - $1 })).map {
            problem.c * $0 + step * $1
        }
        #expect(relative(found.gradient, closed) < 1e-6)
    }

    @Test func firstOrderIsThePartialGradient() throws {
        var problem = try QuadraticBilevel(seed: 15)
        let w = [0.3, -0.2, 0.9, 1.4, -1.0, 0.1], a = [0.4, -0.7, 1.1]
        let found = try Hypergradient.partial.estimate(&problem, w, a, step: 0.05).gradient
        #expect(relative(found, a.map { problem.c * $0 }) < 1e-12)
    }

    @Test func aDivergingSeriesStops() throws {
        var problem = try QuadraticBilevel(seed: 16)
        let w = [0.3, -0.2, 0.9, 1.4, -1.0, 0.1], a = [0.4, -0.7, 1.1]
        let found = try Hypergradient.neumann(50).estimate(&problem, w, a, step: 8 / problem.largestEigenvalue)
        #expect(found.diverged && found.terms < 50)
        #expect(found.gradient.allSatisfy { $0.isFinite })
    }
}
