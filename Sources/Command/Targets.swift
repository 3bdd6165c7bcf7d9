import ArgumentParser
import Hardware

/// `martlet targets`: what can be compiled for.
struct Targets: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the targets, what their figures mean, and what is missing for them.")

    func run() throws {
        let library = TargetLibrary()
        var rows = [["target", "figures", "ready", "description"]]
        for name in library.names {
            let target = try library.target(name)
            let missing = Builder.missingTools(of: target)
            rows.append([name, target.figures.rawValue, missing == nil ? "yes" : "no", target.description])
            if let missing { Terminal.error("\(missing)") }
        }
        Terminal.output(Terminal.table(rows))
    }
}
