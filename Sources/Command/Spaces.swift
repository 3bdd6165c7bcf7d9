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

    func run() throws {
        let library = SpaceLibrary()
        if let name {
            // Read it, so that a fault in a user's file is found here.
            _ = try library.space(name)
            Terminal.output(try library.text(name))
            return
        }
        var rows = [["space", "input", "classes", "choices", "architectures", "source"]]
        for name in library.names {
            let space = try library.space(name)
            let digits = space.sites.reduce(0) { $0 + log10(Double($1.alternatives.count)) }
            let size = digits < 6 ? String(format: "%.0f", pow(10, digits)) : String(format: "1e%.0f", digits)
            rows.append([name, "\(space.input)", "\(space.classes)", "\(space.sites.count)", size, space.source])
        }
        Terminal.output(Terminal.table(rows))
    }
}
