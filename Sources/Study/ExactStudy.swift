import Foundation
import IR
import Search

/// Estimators and schedules without their own mechanism, where the right answer is known.
func exactStudy(_ out: String, seeds: Int) throws {
    var text = "# Mechanisms switched off where the right answer is known\n\n"
    text += try hypergradients(seeds) + "\n" + estimators(seeds) + "\n" + schedules(seeds)
    try text.write(toFile: out, atomically: true, encoding: .utf8)
}

/// Truncated Neumann series against central differences through solved weights.
private func hypergradients(_ seeds: Int) throws -> String {
    let family: [(String, Hypergradient)] = [
        ("darts1: no implicit term", .partial), ("idarts, K = 0", .neumann(0)), ("idarts, K = 2", .neumann(2)),
        ("K = 20", .neumann(20)), ("K = 200", .neumann(200)),
    ]
    var cosines = [[Double]](repeating: [], count: family.count), errors = cosines
    for seed in 1...UInt64(seeds) {
        var problem = try LinearSupernet(seed: seed), random = RandomSource(seed: seed).fork("alpha")
        let alpha = (0..<problem.edges).map { _ in (0..<problem.operators).map { _ in random.normal(deviation: 0.3) } }
        for (index, found) in try problem.compare(family.map(\.1), alpha: alpha, noise: alpha, .softmax()).enumerated()
        {
            cosines[index].append(found.cosine)
            errors[index].append(found.error)
        }
    }
    var text =
        "The gradient of the architecture on a supernet that is linear in its weights, \(seeds) of them: its cosine to central differences of the validation loss at the weights that solve the training loss.\n\n"
    text += header(["estimator", "cosine", "distance"])
    for (index, member) in family.enumerated() {
        text += cells([member.0, summary(of: cosines[index], 4), summary(of: errors[index], 4)])
    }
    return text
}

/// Score functions with and without their parts, on toys whose gradient is an enumeration.
private func estimators(_ seeds: Int) -> String {
    let draws = 400_000
    let names = [
        "unas: score function, relaxed control variate", "without the conditional sample", "without the score term",
        "without a control variate (REINFORCE)", "running baseline",
    ]
    var worst = [[Double]](repeating: [], count: names.count), biases = worst, variances = worst
    for seed in 1...UInt64(seeds) {
        let toy = CategoricalToy(seed: seed, offset: 3), exact = toy.exact
        let corners = (0..<toy.n).map { toy.value(toy.corner($0)) }
        var random = RandomSource(seed: seed).fork("draws"),
            moments = [Moments](repeating: Moments(), count: names.count)
        var baseline = corners[0]
        for _ in 0..<draws {
            let noise = (0..<toy.n).map { _ in random.uniformOpen() }
            let draw = ConcreteDraw(logits: toy.logits, tau: 0.4, noise: noise)
            let hard = corners[draw.z], soft = (value: toy.value(draw.zeta), gradient: toy.gradient(draw.zeta))
            let whole = ScoreFunction.rebar.gradient(draw, hard: hard, soft: soft)
            let conditional = draw.conditionalPathwise(soft.gradient)
            let plain = ScoreFunction.movingAverage(decay: 0.95)
            moments[0].add(whole)
            moments[1].add(zip(whole, conditional).map { $0 + $1 })
            moments[2].add(ScoreFunction.none.gradient(draw, hard: hard, soft: soft))
            moments[3].add(plain.gradient(draw, hard: hard, soft: soft))
            moments[4].add(plain.gradient(draw, hard: hard, soft: soft, baseline: baseline))
            baseline = 0.95 * baseline + 0.05 * hard
        }
        let length = exact.reduce(0) { $0 + $1 * $1 }.squareRoot()
        for (index, it) in moments.enumerated() {
            worst[index].append(it.zScores(exact).max() ?? 0)
            let bias = zip(it.mean, exact).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
            biases[index].append(100 * bias / length)
            variances[index].append(it.variances.reduce(0, +))
        }
    }
    var text =
        "The gradient of an expectation over four categories, \(seeds) functions with an offset of 3, \(draws) draws each, temperature 0.4. Without bias the largest deviation of four coordinates is about 1.5 standard errors.\n\n"
    text += header(["estimator", "largest deviation, standard errors", "distance from the gradient, %", "variance"])
    for (index, name) in names.enumerated() {
        text += cells([
            name, summary(of: worst[index], 1), summary(of: biases[index], 1), summary(of: variances[index], 3),
        ])
    }
    return text
}

/// Architecture steps around a tenfold rise of the Fisher trace, of 25 iterations each.
private func schedules(_ seeds: Int) -> String {
    var text =
        "Architecture steps in 25 iterations: at rest, after the trace of the Fisher information has risen tenfold, and after it has fallen back; \(20 * seeds) runs.\n\n"
    text += header(["schedule", "at rest", "risen", "fallen back"])
    for frequency in [1.0, 5, 10] {
        var counts = [[Double]](repeating: [], count: 3), fixed = counts
        for run in 0..<(20 * seeds) {
            var random = RandomSource(seed: 22).fork(run), schedule = FisherSchedule(frequency: frequency)
            var own = [0.0, 0, 0], other = [0.0, 0, 0]
            for i in 0..<900 {
                let isDue = schedule.isArchitectureStepDue(), isFixed = (i + run).isMultiple(of: Int(frequency) + 1)
                for (index, window) in [575..<600, 610..<635, 700..<725].enumerated() where window.contains(i) {
                    own[index] += isDue ? 1 : 0
                    other[index] += isFixed ? 1 : 0
                }
                schedule.observe(((600..<700).contains(i) ? 10.0 : 1) * exp(0.2 * random.normal()))
            }
            for index in 0..<3 {
                counts[index].append(own[index])
                fixed[index].append(other[index])
            }
        }
        text += cells(["prime: Fisher trace, 1 to \(digits(frequency, 0))"] + counts.map { summary(of: $0, 1) })
        text += cells(["fixed, every \(digits(frequency + 1, 0)) iterations"] + fixed.map { summary(of: $0, 1) })
    }
    return text
}
