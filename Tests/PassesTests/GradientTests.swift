import IR
import Operators
import Passes
import Testing

/// Second-order quantities against closed forms, in double precision.
@Suite struct GradientTests {
    /// A quadratic bilevel problem: `inner = ½ w'Aw - w'Ba`, whose Hessian is A and whose mixed derivative is -B.
    @Test func hessianVectorAndMixedProductsAreExact() throws {
        let (d, m) = (6, 3)
        var random = RandomSource(seed: 5)
        func matrix(_ rows: Int, _ columns: Int) -> [Double] { (0..<(rows * columns)).map { _ in random.normal() } }
        let root = matrix(d, d), b = matrix(d, m), w = matrix(d, 1), a = matrix(m, 1), v = matrix(d, 1)
        // A = R'R is symmetric.
        let aMatrix = (0..<d).flatMap { i in
            (0..<d).map { j in (0..<d).reduce(0.0) { $0 + root[$1 * d + i] * root[$1 * d + j] } }
        }

        var g = GraphBuilder(name: "bilevel")
        let wIn = g.input("w", .f64(d, 1)), aIn = g.input("a", .f64(m, 1)), vIn = g.input("v", .f64(d, 1))
        let big = g.constant(Literal(.f64, [d, d], reals: aMatrix)),
            mixed = g.constant(Literal(.f64, [d, m], reals: b))
        let quadratic = try g.append(MatMul(transposesA: true), wIn, g.append(MatMul(), big, wIn))
        let half = try g.append(Multiply(), quadratic, g.constant(0.5, like: quadratic))
        let linear = try g.append(MatMul(transposesA: true), wIn, g.append(MatMul(), mixed, aIn))
        let inner = try g.append(Reshape([]), g.append(Subtract(), half, linear))
        let gradient = try #require(try g.gradients(of: [inner], wrt: [wIn])[0])
        let dot = try g.append(ReduceSum(), g.append(Multiply(), gradient, vIn))
        let products = try g.gradients(of: [dot], wrt: [wIn, aIn])
        let graph = g.finish(outputs: [gradient, try #require(products[0]), try #require(products[1])])

        let inputs = [(w, d), (a, m), (v, d)].map { ReferenceTensor<Double>(.f64, [$1, 1], $0) }
        let outputs = try Interpreter.run(graph, inputs: inputs).map(\.reals)
        func times(_ matrix: [Double], _ x: [Double], _ rows: Int, transposed: Bool = false) -> [Double] {
            let columns = x.count
            return (0..<rows).map { i in
                (0..<columns).reduce(0.0) { $0 + matrix[transposed ? $1 * rows + i : i * columns + $1] * x[$1] }
            }
        }
        let expectedGradient = zip(times(aMatrix, w, d), times(b, a, d)).map { $0 - $1 }
        let expectedHessian = times(aMatrix, v, d), expectedMixed = times(b, v, m, transposed: true).map { -$0 }
        for (found, expected) in zip(outputs, [expectedGradient, expectedHessian, expectedMixed]) {
            for (p, q) in zip(found, expected) { #expect(abs(p - q) < 1e-12 * max(1, abs(q))) }
        }
    }

    @Test func parametersOffThePathHaveNoGradient() throws {
        var g = GraphBuilder(name: "g")
        let x = g.input("x", .f32(2, 3))
        let used = g.parameter("used", .f32(3)), unused = g.parameter("unused", .f32(3))
        let loss = try g.append(ReduceSum(), g.append(Multiply(), x, used))
        let other = try g.append(ReduceSum(), unused)
        let graph = try g.finish(outputs: [loss, other]).withParameterGradients()
        #expect(graph.outputNames == ["output0", "output1", "grad.used"])
    }

    @Test func stoppedGradientsDoNotPass() throws {
        var g = GraphBuilder(name: "g")
        let x = g.input("x", .f64(3))
        let product = try g.append(Multiply(), x, g.append(StopGradient(), x))
        let loss = try g.append(ReduceSum(), product)
        let gradient = try #require(try g.gradients(of: [loss], wrt: [x])[0])
        let graph = g.finish(outputs: [gradient])
        let values = [1.5, -2, 3.0]
        // Of x · stop(x) only the first factor is differentiated: the gradient is x, not 2x.
        #expect(try Interpreter.run(graph, inputs: [ReferenceTensor<Double>(.f64, [3], values)])[0].reals == values)
    }

    @Test func aValueUsedTwiceCollectsBothGradients() throws {
        var g = GraphBuilder(name: "g")
        let x = g.input("x", .f64(2))
        let loss = try g.append(ReduceSum(), g.append(Multiply(), x, x))
        let gradient = try #require(try g.gradients(of: [loss], wrt: [x])[0])
        let graph = g.finish(outputs: [gradient])
        #expect(try Interpreter.run(graph, inputs: [ReferenceTensor<Double>(.f64, [2], [3, -4])])[0].reals == [6, -8])
    }
}
