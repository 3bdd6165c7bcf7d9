import ArgumentParser

/// The command `martlet`.
///
/// Exit status: 0 done, 1 a comparison failed, 3 an unsupported operator or feature, 4 bad input, 5 constraints that nothing
/// meets, 64 wrong usage, 130 stopped by the user. Data goes to standard output, everything else to standard error.
@main
struct Martlet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Finds neural networks that meet a latency limit, and compiles networks to standalone C.",
        subcommands: [
            SearchNetwork.self, Compile.self, Bench.self, Verify.self, Inspect.self, Ops.self, Targets.self,
            ListSpaces.self, ListAlgorithms.self,
        ])

    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as Failure {
            failure.exit()
        } catch  where Failure.knows(error) {
            Failure(error).exit()
        } catch {
            exit(withError: error)
        }
    }
}
