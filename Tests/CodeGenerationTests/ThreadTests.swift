import CodeGeneration
import Foundation
import IR
import Operators
import Passes
import TestSupport
import Testing

/// Programs whose steps are shared between threads.
@Suite struct ThreadTests {
    /// A graph scheduled for some threads, every decision `split` replaced where one is given.
    static func scheduled(_ graph: Graph, threads: Int, split: String? = nil, unit: VectorUnit = .avx512) throws
        -> Graph
    {
        var unit = unit
        unit.threads = threads
        let scheduled = try Pipeline.schedule(for: unit).run(try Pipeline.deployment().run(graph))
        guard let split else { return scheduled }
        return try Graph(
            parsing: ["rows", "channels"].reduce(scheduled.description) {
                $0.replacingOccurrences(of: "split = \"\($1)\"", with: "split = \"\(split)\"")
            })
    }

    @Test func resultsAreTheSameBitsForEveryNumberOfThreads() throws {
        let kinds: [(threads: Int, split: String?)] = [
            (1, nil), (2, nil), (3, "rows"), (3, "channels"),
        ]
        var cases: [TestProgram] = []
        for (name, graph) in ScheduledNetworks.all {
            var random = RandomSource(seed: 3).fork(name)
            let inputs = graph.types(of: graph.inputs).map { type in
                Literal(type.element, type.shape, reals: (0..<type.count).map { _ in 4 * random.uniform() - 2 })
            }
            let outputs = graph.types(of: graph.outputs).map {
                Literal($0.element, $0.shape, reals: [Double](repeating: 0, count: $0.count))
            }
            for (threads, split) in kinds {
                let full = "\(name)_\(threads)_\(split ?? "chosen")"
                let program = try CProgram(
                    Self.scheduled(graph, threads: threads, split: split), options: COptions(name: full))
                #expect(program.threads == threads)
                cases.append(
                    TestProgram(name: full, program: program, test: TestVector(inputs: inputs, outputs: outputs)))
            }
        }
        let found = try TestProgram.run(cases, compiler: ["gcc", "-O1", "-march=native", "-ffp-contract=fast"])
        for start in stride(from: 0, to: cases.count, by: kinds.count) {
            for other in 1..<kinds.count {
                let same = zip(found[start], found[start + other]).allSatisfy { $0.bytes == $1.bytes }
                #expect(same, "\(cases[start + other].name)")
            }
            let isFinite = found[start].allSatisfy { $0.reals.allSatisfy { $0.isFinite } }
            #expect(isFinite, "\(cases[start].name)")
        }
    }

    /// A network that has every kind of step, as a program that checks itself alone and on the pool.
    static func program(_ name: String, threads: Int) throws -> CProgram {
        let graph = try #require(ScheduledNetworks.all.first { $0.name == name }).graph
        var random = RandomSource(seed: 4)
        let inputs = graph.types(of: graph.inputs).map { type in
            Literal(type.element, type.shape, reals: (0..<type.count).map { _ in 4 * random.uniform() - 2 })
        }
        let outputs = try Interpreter.run(graph, inputs: inputs.map { ReferenceTensor<Double>($0) }).map(\.literal)
        var options = COptions(name: "network")
        options.test = TestVector(inputs: inputs, outputs: outputs)
        return try CProgram(scheduled(graph, threads: threads), options: options)
    }

    @Test(arguments: ["block3s1x14", "excite", "attention"])
    func thePoolRacesNowhere(network: String) throws {
        let workshop = try Workshop()
        try workshop.write(Self.program(network, threads: 3).files)
        let files = ["-I.", "-o", "check", "main.c", "network.c", "-lm"]
        let flags = Workshop.strict + ["-O1", "-march=native", "-ffp-contract=fast"]
        try workshop.expect(["gcc"] + flags + ["-pthread", "-fsanitize=thread"] + files)
        for _ in 0..<3 {
            // A sanitizer wants addresses where some kernels put none.
            let output = try workshop.expect(["setarch", "-R", "./check"])
            #expect(output.hasSuffix("ok\n"), "\(output)")
        }
    }

    @Test func withoutThreadsTheProgramIsRight() throws {
        let workshop = try Workshop()
        try workshop.write(Self.program("block5s2x12", threads: 4).files)
        try workshop.expect(
            ["clang"] + Workshop.strict
                + [
                    "-O1", "-DMARTLET_PLAIN_C", "-DMARTLET_NO_THREADS", "-I.", "-o", "check", "main.c", "network.c",
                    "-lm",
                ])
        #expect(try workshop.expect(["./check"]).hasSuffix("ok\n"))
    }

    @Test func thePoolRunsEveryPartOnce() throws {
        let workshop = try Workshop()
        try workshop.write(Self.program("block3s1x3", threads: 2).sources.filter { $0.name == "martlet_pool.h" })
        try workshop.write(
            "pool.c",
            """
            #include "martlet_pool.h"
            #include <stdio.h>
            static int counts[16];
            static void count(void *argument, int part) { ((int *)argument)[part]++; }
            int main(void)
            {
                for (int threads = 1; threads <= 5; threads += 2) {
                    static martlet_pool pool;
                    if (martlet_pool_start(&pool, threads)) return 2;
                    for (int work = 0; work < 4000; work++) {
                        const int parts = work * 7 % 16;
                        memset(counts, 0, sizeof counts);
                        martlet_pool_run(&pool, count, counts, parts);
                        for (int i = 0; i < 16; i++)
                            if (counts[i] != (i < parts)) return printf("%d of %d ran %d times\\n", i, parts, counts[i]), 1;
                    }
                    martlet_pool_stop(&pool);
                }
                return martlet_pool_start(&(martlet_pool){0}, 0) == 0;
            }

            """)
        try workshop.expect(
            ["gcc", "-O2", "-pthread", "-fsanitize=thread", "-DMARTLET_POOL_SPINS=50"] + Workshop.strict
                + ["-o", "pool", "pool.c"])
        try workshop.expect(["setarch", "-R", "./pool"])
    }

    @Test func theScheduleNamesItsShares() throws {
        let graph = try #require(ScheduledNetworks.all.first { $0.name == "block3s1x14" }).graph
        let scheduled = try Self.scheduled(graph, threads: 2)
        #expect(scheduled.description.contains("threads = 2, "))
        #expect(scheduled.nodes.contains { $0.schedule["split"] != nil })
        #expect(try Graph(parsing: scheduled.description) == scheduled)
        // One thread leaves no trace.
        #expect(!(try Self.scheduled(graph, threads: 1).description.contains("threads")))
    }

    @Test func scratchMemoryIsPlannedForEveryThread() throws {
        let graph = try #require(ScheduledNetworks.all.first { $0.name == "block3s1x14" }).graph
        let plans = try [1, 2].map { try CProgram.memory(of: Self.scheduled(graph, threads: $0, split: "rows")) }
        #expect(plans[0].arenaBytes < plans[1].arenaBytes)
        // Two bands of half the height need as much as one, each with rows of its neighbour.
        #expect(plans[1].arenaBytes < 2 * plans[0].arenaBytes)
    }

    @Test func anUnknownSplitIsRefused() throws {
        let graph = try #require(ScheduledNetworks.all.first { $0.name == "block3s1x14" }).graph
        let scheduled = try Self.scheduled(graph, threads: 2, split: "columns")
        let error = #expect(throws: ExportError.self) { try CProgram(scheduled, options: COptions(name: "n")) }
        #expect(error?.message.contains("a schedule's split is rows or channels, found") == true)
    }
}
