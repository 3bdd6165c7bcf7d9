import IR
import Search
import Testing

@Suite struct LinearSupernetTests {
    /// The gradient with respect to the architecture's parameters, through every relaxation, against differences of the
    /// outer loss at the solved weights.
    @Test(arguments: [Relaxation.softmax(), .clamped, .concrete(tau: 0.7)])
    func moreTermsPointCloserToFiniteDifferences(relaxation: Relaxation) throws {
        var problem = try LinearSupernet(seed: 21), random = RandomSource(seed: 5)
        let alpha = [[0.4, 0.2, 0.7], [0.5, 0.3, 0.1]]
        let noise = alpha.map { $0.map { _ in random.uniform(in: 0.2..<0.8) } }
        let found = try problem.compare(
            [.partial, .neumann(0), .neumann(2), .neumann(20), .neumann(200)], alpha: alpha, noise: noise, relaxation)
        let cosines = found.map(\.cosine), errors = found.map(\.error)
        #expect(cosines[4] > 0.999, "\(cosines)")
        #expect(zip(errors, errors.dropFirst()).allSatisfy { $0 > $1 }, "\(errors)")
        #expect(zip(cosines, cosines.dropFirst()).allSatisfy { $0 < $1 }, "\(cosines)")
    }

    /// Second-order DARTS leaves first-order DARTS in proportion to the step that it looks ahead.
    @Test func aVirtualStepTendsLinearlyToTheFirstOrder() throws {
        var problem = try LinearSupernet(seed: 22), random = RandomSource(seed: 6)
        let w = (0..<problem.weightCount).map { _ in random.normal() }, m = [0.4, 0.2, 0.4, 0.5, 0.3, 0.2]
        let first = try Hypergradient.partial.estimate(&problem, w, m, step: 1).gradient
        let slope = try problem.innerGradient(w, m)
        let distances = try [1e-2, 1e-3, 1e-4].map { step in
            let found = try Hypergradient(terms: 0, at: .virtual).estimate(
                &problem, w, m, step: step, virtualWeights: zip(w, slope).map { $0 - step * $1 })
            return zip(found.gradient, first).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
        }
        #expect(abs(distances[0] / distances[1] / 10 - 1) < 0.1, "\(distances)")
        #expect(abs(distances[1] / distances[2] / 10 - 1) < 0.01, "\(distances)")
    }
}
