import ArgumentParser
import Search

/// `martlet algorithms`: how can be searched.
struct ListAlgorithms: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "algorithms",
        abstract: "Lists the search algorithms, or the choices along the axes that one of them makes.")

    @Argument(help: "An algorithm.") var name: String?
    @OptionGroup var result: ResultOptions

    private struct Row: Encodable {
        var name, source: String
        var axes: [String: String]

        init(_ recipe: Recipe) {
            (name, source) = (recipe.name, recipe.source)
            axes = Dictionary(uniqueKeysWithValues: recipe.axes.map { ($0.name, $0.value) })
        }
    }

    func run() throws {
        if let name {
            let recipe = try Recipe.named(name)
            let rows = [["source", recipe.source]] + recipe.axes.map { [$0.name, $0.value] }
            return try result.emit(Terminal.table(rows), json: Row(recipe))
        }
        let header = ["algorithm"] + Recipe.spos.axes.map(\.name) + ["source"]
        let rows = Recipe.all.map { [$0.name] + $0.axes.map(\.value) + [$0.source] }
        try result.emit(Terminal.table([header] + rows), json: Recipe.all.map(Row.init))
    }
}
