import CodeGeneration
import Foundation
public import IR

/// Schedules that were chosen by measuring, of one graph on one target.
public struct TunedSchedule: Hashable, Sendable, Codable {
    /// The decisions of one node that differ from the default.
    public struct Change: Hashable, Sendable, Codable {
        public var node: Int
        public var decision: String
        /// The value as the graph's text writes it.
        public var value: String
    }

    /// Empty where the default was best.
    public var changes: [Change]
    /// Medians of paired rounds, in milliseconds.
    public var defaultMilliseconds: Double
    public var tunedMilliseconds: Double
    /// Tuned time by default time, round by round.
    public var ratios: [Double]

    /// The graph with these decisions in place of its default ones.
    ///
    /// - Throws: ``HardwareError`` when a decision is of no node of the graph.
    public func applied(to graph: Graph) throws(HardwareError) -> Graph {
        var graph = graph
        for change in changes {
            guard graph.nodes.indices.contains(change.node),
                let at = graph.nodes[change.node].schedule.decisions.firstIndex(where: { $0.name == change.decision })
            else {
                throw HardwareError(
                    .database,
                    "a stored schedule: expected a decision '\(change.decision)' at node \(change.node), found none; "
                        + "tune again")
            }
            var schedule = graph.nodes[change.node].schedule
            schedule.decisions[at].value = Int(change.value).map { .integer($0) } ?? .string(change.value)
            graph.setSchedule(schedule, ofNode: change.node)
        }
        return graph
    }
}

/// Chooses among the schedules of a graph's nodes by measuring them on the target.
///
/// Every candidate program varies many nodes at once, and the nodes are compared step by step with the default program in
/// interleaved rounds. What wins there is put together, and replaces the default only when the whole program is faster in
/// paired rounds.
public struct Tuner: Sendable {
    public let profiler: Profiler
    public var threads: Int
    /// Whether transforms that round differently from plain sums are left out.
    public var exact: Bool
    /// A step counts as faster when the median of its ratios to the default is below this.
    public var stepGain = 0.97
    /// The whole program replaces the default when the median of the ratios is below this, and most rounds agree.
    public var programGain = 0.99

    public init(profiler: Profiler, threads: Int = 1, exact: Bool = false) {
        self.profiler = profiler
        self.threads = threads
        self.exact = exact
    }

    /// What the records of a graph are kept under: its operators, types and default schedules, not its weights.
    public static func key(of graph: Graph) throws -> String {
        var print = Fingerprint()
        for node in graph.nodes {
            let attributes = node.op is any SourceOperator ? "" : try node.op.attributes().map(\.description).joined()
            print.add([
                node.op.mnemonic, attributes, node.operands.map { "\($0.id)" }.joined(separator: " "),
                graph.types(of: node.results).map(\.description).joined(separator: " "),
                node.schedule.decisions.map(\.description).joined(separator: ", "),
            ])
        }
        print.add(graph.types(of: graph.inputs).map(\.description))
        return print.description
    }

    /// The record of an earlier tuning of such a graph, if there is one.
    ///
    /// - Throws: ``HardwareError`` when the database is damaged or locked.
    public func known(_ graph: Graph) throws -> TunedSchedule? {
        try profiler.database?.schedule(for: try recordKey(graph))
    }

    /// Measures for about the given time, keeps the record, and returns it.
    ///
    /// - Throws: ``HardwareError`` when the target gives no latencies of this machine, or a program does not compile or run.
    public func tune(_ graph: Graph, for budget: Duration) throws -> TunedSchedule {
        let start = ContinuousClock.now, end = start + budget
        let candidates = graph.nodes.indices.map { graph.scheduleCandidates(ofNode: $0, exact: exact) }
        var programs: [StepBench] = [try StepBench(graph, name: "tuned", target: profiler.target)]
        for turn in 0..<(candidates.map(\.count).max() ?? 0) {
            // Compiling takes time too: a third of the budget goes to it at most, and candidates come nearest first.
            guard ContinuousClock.now < start + budget / 3 else { break }
            var other = graph
            for (node, list) in candidates.enumerated() where turn < list.count {
                other.setSchedule(list[turn], ofNode: node)
            }
            programs.append(try StepBench(other, name: "tuned", target: profiler.target))
        }
        let lock = try TimerLock(named: NativeMachine.identity(), patience: profiler.plan.patience)
        defer { withExtendedLifetime(lock) {} }

        // ratios[program][node], one a round.
        var ratios = programs.map { _ in [[Double]](repeating: [], count: graph.nodes.count) }
        var rounds = 0
        while programs.count > 1, rounds < 5 || (ContinuousClock.now < end - budget / 5 && rounds < 40) {
            let times = try programs.map { try nodeTimes($0, graph.nodes.count) }
            for (index, time) in times.enumerated() {
                for node in graph.nodes.indices where times[0][node] > 0 && time[node] > 0 {
                    ratios[index][node].append(time[node] / times[0][node])
                }
            }
            rounds += 1
        }
        var chosen = graph, changes: [TunedSchedule.Change] = []
        for node in graph.nodes.indices {
            var best: (ratio: Double, turn: Int)?
            for turn in candidates[node].indices where turn + 1 < programs.count {
                let found = ratios[turn + 1][node]
                guard !found.isEmpty else { continue }
                let median = Statistics.median(found)
                let agreeing = found.count { $0 < 1 }
                if median < stepGain, agreeing * 4 >= found.count * 3, median < best?.ratio ?? .infinity {
                    best = (median, turn)
                }
            }
            guard let best else { continue }
            let schedule = candidates[node][best.turn]
            chosen.setSchedule(schedule, ofNode: node)
            for decision in schedule.decisions where decision.value != graph.nodes[node].schedule[decision.name] {
                changes.append(.init(node: node, decision: decision.name, value: decision.value.bare))
            }
        }
        let record = try compared(graph, chosen, changes)
        try profiler.database?.record(record, for: recordKey(graph))
        return record
    }

    /// The tuned program against the default one, in turns; the default wins where the gain is not sure.
    private func compared(_ graph: Graph, _ chosen: Graph, _ changes: [TunedSchedule.Change]) throws -> TunedSchedule {
        let before = try StepBench(graph, name: "tuned", target: profiler.target)
        guard !changes.isEmpty else {
            let time = try before.run(seconds: 0.3).milliseconds.reduce(0, +)
            return TunedSchedule(changes: [], defaultMilliseconds: time, tunedMilliseconds: time, ratios: [1])
        }
        let after = try StepBench(chosen, name: "tuned", target: profiler.target)
        var times: (before: [Double], after: [Double]) = ([], [])
        for round in 0..<11 {
            // The first of a pair may find the machine in another state than the second: they take turns at that too.
            let first = try (round % 2 == 0 ? before : after).run(seconds: 0.15).milliseconds.reduce(0, +)
            let second = try (round % 2 == 0 ? after : before).run(seconds: 0.15).milliseconds.reduce(0, +)
            times.before.append(round % 2 == 0 ? first : second)
            times.after.append(round % 2 == 0 ? second : first)
        }
        let ratios = zip(times.after, times.before).map { $0 / $1 }
        // Nine of eleven or more happen by chance three times in a hundred.
        let isFaster = Statistics.median(ratios) < programGain && ratios.count { $0 < 1 } >= 9
        let medians = (Statistics.median(times.before), Statistics.median(times.after))
        return TunedSchedule(
            changes: isFaster ? changes : [], defaultMilliseconds: medians.0,
            tunedMilliseconds: isFaster ? medians.1 : medians.0, ratios: ratios)
    }

    private func nodeTimes(_ bench: StepBench, _ nodes: Int) throws -> [Double] {
        var times = [Double](repeating: 0, count: nodes)
        for (step, time) in zip(bench.program.steps, try bench.run(seconds: 0.1).milliseconds) {
            times[step.node] = time
        }
        return times
    }

    private func recordKey(_ graph: Graph) throws -> MeasurementKey {
        profiler.key(program: try Self.key(of: graph), threads: threads)
    }
}

extension AttributeValue {
    /// The value without the quotes of a string.
    fileprivate var bare: String {
        if case .string(let text) = self { text } else { description }
    }
}
