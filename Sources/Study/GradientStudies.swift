import Foundation
import Search

// What gradients of the architecture say on the cells of NAS-Bench-201, beside what they should say.

/// What the implicit term adds to the partial gradient while a search by the latter runs.
func implicitStudy(_ out: String, images folder: String, _ settings: CellSettings) throws {
    let study = try benchmarkCells(folder, settings)
    func series(_ terms: Int, _ gamma: Double? = nil) -> Hypergradient {
        Hypergradient(terms: terms, mixedTerm: .finiteDifference(epsilon: 0.01), gamma: gamma)
    }
    let family = [
        ("K = 0", series(0)), ("K = 2", series(2)), ("K = 2, exact products", Hypergradient.neumann(2)),
        ("K = 20", series(20)),
        ("K = 2, γ = 0.1", series(2, 0.1)), ("K = 20, γ = 0.1", series(20, 0.1)),
    ]
    var recipe = Variant.hypergradients[0].recipe
    recipe.architecture.acceleration = settings.acceleration
    var found: [[ImplicitTerm]] = []
    for seed in 0..<UInt64(settings.seeds) {
        found.append(
            try study.terms(
                of: family.map(\.1), along: recipe, steps: settings.steps, batch: settings.batch, stages: 4,
                batches: 20, seed: settings.first + seed))
        say("seed \(settings.first + seed)")
    }
    var text =
        "# What the implicit term adds to the partial gradient\n\nAlong searches by the partial gradient with iDARTS' schedule and weights on cells of NAS-Bench-201: \(settings.text), architecture steps \(digits(settings.acceleration, 1)) times the published ones. Gradients with respect to the architecture's parameters, averaged over 20 batches; \(settings.seeds) seeds.\n\n"
    text += header([
        "after steps", "term", "its length over the partial gradient's", "cosine of the sum to the partial gradient",
        "towards skips: partial gradient", "implicit term", "skips, %",
    ])
    for place in found.first?.indices ?? [].indices {
        let column = found.map { $0[place] }
        text += cells([
            "\(column[0].step)", family[place % family.count].0, summary(of: column.map(\.share), 3),
            summary(of: column.map(\.cosine), 3), summary(of: column.map(\.towardsSkip.partial), 3),
            summary(of: column.map(\.towardsSkip.implicit), 3), summary(of: column.map { 100 * $0.skipShare }, 0),
        ])
    }
    try text.write(toFile: out, atomically: true, encoding: .utf8)
}

/// What the objective of these searches prefers, weights trained anew for every mixture, beside what gradients say.
func objectiveStudy(_ out: String, images folder: String, _ settings: CellSettings) throws {
    let study = try benchmarkCells(folder, settings)
    let family = [
        ("partial", Hypergradient.partial), ("K = 2, exact products", .neumann(2)),
        ("K = 20, exact products", .neumann(20)),
    ]
    let operators = ["skip_connect", "nor_conv_3x3"], offset = 0.5
    var found: [[(step: Int, operator: String, slopes: [Double])]] = []
    for seed in 0..<UInt64(settings.seeds) {
        func train(_ name: String, _ value: Double) throws -> [HeldMixture] {
            try study.objective(
                of: { $0 == name ? value : 0 }, value == 0 ? family.map(\.1) : [], training: .idarts,
                steps: settings.steps, batch: settings.batch, stages: 4, batches: 30, seed: settings.first + seed)
        }
        let middle = try train("", 0)
        var rows: [(step: Int, operator: String, slopes: [Double])] = []
        for name in operators {
            let up = try train(name, offset), down = try train(name, -offset)
            for (index, held) in middle.enumerated() {
                rows.append(
                    (
                        held.step, name,
                        [(up[index].loss - down[index].loss) / (2 * offset)] + held.slopes.map { $0[name] ?? 0 }
                    ))
            }
        }
        found.append(rows)
        say("seed \(settings.first + seed)")
    }
    var text =
        "# What the objective of a search prefers on cells of NAS-Bench-201\n\nThe slope of the validation loss along one operator's parameter, moved at all choices, from equal weights: by training the weights anew with the parameter at ±\(digits(offset, 1)), and by gradients at the weights trained with equal weights. \(settings.text), iDARTS' weights; \(settings.seeds) seeds. A negative slope asks for more of the operator.\n\n"
    text += header(["after steps", "operator", "trained anew"] + family.map(\.0))
    for place in found.first?.indices ?? [].indices {
        let column = found.map { $0[place] }
        text += cells(
            ["\(column[0].step)", column[0].operator]
                + (0...family.count).map { slope in summary(of: column.map { $0.slopes[slope] }, 4) })
    }
    try text.write(toFile: out, atomically: true, encoding: .utf8)
}
