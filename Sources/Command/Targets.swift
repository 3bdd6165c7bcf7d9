import ArgumentParser
import Hardware

/// `martlet targets`: what can be compiled for.
struct Targets: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the targets, what their figures mean, and what is missing for them.")

    @OptionGroup var result: ResultOptions

    private struct Row: Encodable {
        var name, figures: String
        var ready: Bool
        var description: String
        var missing: String?
    }

    func run() throws {
        let library = TargetLibrary()
        let rows = try library.names.map { name in
            let target = try library.target(name), missing = Builder.missingTools(of: target)
            return Row(
                name: name, figures: target.figures.rawValue, ready: missing == nil, description: target.description,
                missing: missing?.description)
        }
        if !result.output.quiet { for row in rows { if let missing = row.missing { Terminal.error(missing) } } }
        let cells = rows.map { [$0.name, $0.figures, $0.ready ? "yes" : "no", $0.description] }
        try result.emit(Terminal.table([["target", "figures", "ready", "description"]] + cells), json: rows)
    }
}
