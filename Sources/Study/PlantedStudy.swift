import Search
import Spaces
import Training

/// A planted architecture over seeds: recovered choices and the gap between the chosen network and the mixture.
///
/// - Parameters:
///   - yaml: the space that an architecture is planted in.
///   - acceleration: the architecture's rate over the published one; by the length of the searches where left out.
func plantedStudy(
    _ out: String, _ variants: [Variant], in yaml: String = PlantedTask.micro, seeds: Int, first: UInt64 = 1,
    steps: Int, acceleration: Double? = nil
) throws {
    let space = try SearchSpace(yaml: yaml, file: "planted.yaml")
    let competes = space.cells.contains { $0.wiring == .twoInputs }
    let rate = acceleration.map { ", architecture steps \(digits($0, 0)) times the published ones" } ?? ""
    var rows = try StudyRows(out, settings: "\(steps) steps" + rate)
    var tasks: [UInt64: PlantedTask] = [:]
    let chance = 100 * SampleStatistics.mean(space.alphabet.map { 1 / Double($0) })
    try rows.fill(variants, seeds: seeds, first: first) { variant, seed in
        let task = try tasks[seed] ?? PlantedTask(space, seed: seed)
        tasks = [seed: task]
        var recipe = variant.recipe
        // Searches of a few hundred steps: larger steps than the published ones, the same for all.
        if case .sgd = recipe.weights.optimizer { recipe.weights.rate = .cosine(from: 0.1, to: 0.001) }
        recipe.architecture.acceleration = acceleration
        let result = try task.search(recipe, steps: steps, seed: seed)
        return (
            [
                "recovered": 100 * result.recovered, "gap": result.gap, "accuracyGap": result.accuracyGap,
                "confidence": result.confidence, "entropy": result.entropy, "skips": 100 * result.skipShare,
            ], "\(space.text(of: result.architecture)) for \(space.text(of: task.planted))", nil
        )
    } text: { rows in
        var text =
            "# A planted architecture\n\n\(steps) weight steps of 64 images\(rate); \(competes ? "two nodes with five edges, of which four are kept, each with one of four operators" : "three choices of five operators").\n\n"
        text += header([
            "search", "recovered, %", "above random, standard errors", "gap in loss", "gap in accuracy, points",
            "leaders' weight", "entropy", "skips, %", "seeds", "s a search",
        ])
        // Where edges compete, what chance finds depends on the planted edges.
        if !competes { text += cells(["random selection", digits(chance, 1)] + Array(repeating: "", count: 8)) }
        for variant in variants where !rows.of(variant.label).isEmpty {
            func column(_ key: String, _ places: Int) -> String {
                summary(of: rows.values(variant.label, key), places)
            }
            text += cells([
                variant.label, column("recovered", 1),
                competes ? "" : distance(of: rows.values(variant.label, "recovered"), from: chance),
                column("gap", 3), column("accuracyGap", 1), column("confidence", 2), column("entropy", 2),
                column("skips", 0), "\(rows.of(variant.label).count)",
                digits(SampleStatistics.mean(rows.of(variant.label).map(\.seconds)), 1),
            ])
        }
        return text
    }
}
