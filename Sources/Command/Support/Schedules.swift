import ArgumentParser
import CodeGeneration
import Hardware
import IR
import Passes

/// How a network's schedule is made: what is left out, for how many threads, and what measuring chose.
struct ScheduleOptions: ParsableArguments {
    @Flag(help: "Leave out transforms that round differently from plain sums.") var exact = false
    @Flag(help: "Keep the portable body of every operator.") var portable = false
    @Option(
        help: "Threads that share each step; the caller hands in a parallel-for, or uses the pool that comes along.")
    var threads = 1
    @Option(
        help: ArgumentHelp(
            "Leave out a pass of the schedule, to see what it brings: \(VectorUnit.ablations.joined(separator: ", ")); may be repeated.",
            valueName: "pass"))
    var without: [String] = []
    @Flag(help: "Ignore schedules that were tuned before.") var untuned = false

    func validate() throws {
        guard (1...64).contains(threads) else {
            throw ValidationError("--threads expects 1 to 64, found \(threads)")
        }
        if let unknown = without.first(where: { !VectorUnit.ablations.contains($0) }) {
            throw ValidationError(
                "--without expects one of \(VectorUnit.ablations.joined(separator: ", ")), found '\(unknown)'")
        }
    }

    /// The graph with the default schedule of the target.
    func deployed(_ graph: Graph, for target: Target) throws -> Graph {
        try target.deployed(graph, exact: exact, portable: portable, threads: threads, without: Set(without))
    }

    /// The same with the decisions of an earlier tuning, where there is a record of one.
    func scheduled(_ graph: Graph, for target: Target) throws -> Graph {
        let graph = try deployed(graph, for: target)
        // Without a compiler here nothing was ever measured, and the default is right.
        guard !untuned, target.figures == .latency, let tuner = try? tuner(for: target) else { return graph }
        return try tuner.known(graph)?.applied(to: graph) ?? graph
    }

    func tuner(for target: Target) throws -> Tuner {
        let profiler = Profiler(
            builder: try Builder(for: target, in: Folders.cache + "/builds"),
            database: try MeasurementDatabase(path: Folders.cache + "/measurements.sqlite"))
        return Tuner(profiler: profiler, threads: threads, exact: exact)
    }
}
