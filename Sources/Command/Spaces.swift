import ArgumentParser
import Foundation
import Spaces

/// `martlet spaces`: what can be searched.
///
/// Named apart from the module `Spaces`.
struct ListSpaces: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spaces", abstract: "Lists the search spaces, or prints one as YAML.")

    @Argument(help: "A space, or the path of a .yaml file.") var name: String?
    @OptionGroup var result: ResultOptions

    private struct Row: Encodable {
        var name, input: String
        var classes, choices: Int
        var architectures: Double
        var source: String
    }

    func run() throws {
        let library = SpaceLibrary()
        if let name {
            // Read it, so that a fault in a user's file is found here.
            _ = try library.space(name)
            let text = try library.text(name)
            return try result.emit(text, json: ["name": name, "yaml": text])
        }
        let rows = try library.names.map { name in
            let space = try library.space(name)
            return Row(
                name: name, input: "\(space.input)", classes: space.classes, choices: space.sites.count,
                architectures: space.size, source: space.source)
        }
        let cells = rows.map { row in
            let size =
                row.architectures < 1e6
                ? String(format: "%.0f", row.architectures) : String(format: "1e%.0f", log10(row.architectures))
            return [row.name, row.input, "\(row.classes)", "\(row.choices)", size, row.source]
        }
        try result.emit(
            Terminal.table([["space", "input", "classes", "choices", "architectures", "source"]] + cells), json: rows)
    }
}
