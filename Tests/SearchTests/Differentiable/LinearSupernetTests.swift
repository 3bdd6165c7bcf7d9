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
}
