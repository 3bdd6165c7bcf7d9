import Foundation
import Hardware
import IR
import Testing

/// One target of each emulated family builds and runs a program; where tools are missing the test is skipped.
@Suite struct EmulatedTargetTests {
    static let names = TargetLibrary().names.filter { name in
        guard let target = try? TargetLibrary().target(name), target.figures != .latency else { return false }
        if let missing = Builder.missingTools(of: target) {
            print("skipped: \(missing)")
            return false
        }
        return true
    }

    @Test(arguments: names)
    func runsAProgram(name: String) throws {
        let folder = try TestFolder()
        let target = try TargetLibrary().target(name)
        let builder = try Builder(for: target, in: folder.path)
        let built = try builder.build(sampleProgram(), as: .run)
        let input = (0..<16).map { Float($0) }
        let outputs = try ProgramRunner(for: target).run(built, inputs: [bytes(input), bytes([Int32(3)])])
        #expect(outputs.map(floats) == [input.map { 2 * $0 + 4 }])

        let failing = try builder.build(sampleProgram(body: "return 7;"), as: .run)
        let error = fault {
            _ = try ProgramRunner(for: target).run(failing, inputs: [bytes(input), bytes([Int32(0)])])
        }
        #expect(error?.message.contains("run function returned 7") == true, "\(error?.message ?? "")")
    }

    /// The generated C of whole networks and of every operator gives the interpreter's numbers on every target.
    @Test(arguments: names + ["host"])
    func generatedCodeIsRight(name: String) throws {
        let folder = try TestFolder()
        let builder = try Builder(for: try TargetLibrary().target(name), in: folder.path)
        for network in [try SampleNetwork.mobile(), try SampleNetwork.plain(), try SampleNetwork.operators()] {
            let deployed = try DeployedGraph(network.graph, parameters: network.parameters, builder: builder)
            let outputs = try deployed.run(network.inputs)
            #expect(outputs.count == network.expected.count)
            for (index, (found, expected)) in zip(outputs, network.expected).enumerated() {
                let difference = relativeDifference(found, expected)
                #expect(difference <= allowedDifference(expected.element), "\(name): \(network.name): output \(index)")
            }
        }
    }

    @Test(arguments: names.filter { (try? TargetLibrary().target($0).figures) == .instructions })
    func countsInstructions(name: String) throws {
        let folder = try TestFolder()
        let target = try TargetLibrary().target(name)
        let profiler = Profiler(builder: try Builder(for: target, in: folder.path))
        let one = try profiler.instructions(of: sampleProgram(repeats: 1000))
        let two = try profiler.instructions(of: sampleProgram(repeats: 2000))
        #expect(try profiler.instructions(of: sampleProgram(repeats: 1000)) == one)
        // 16 000 elements with at least a load, a multiply, a store and a branch each.
        #expect((64_000...640_000).contains(one), "\(one)")
        #expect(abs(Double(two) / Double(one) - 2) < 0.01, "\(one) \(two)")
    }

    @Test(arguments: names)
    func givesNoLatency(name: String) throws {
        let folder = try TestFolder()
        let profiler = Profiler(builder: try Builder(for: try TargetLibrary().target(name), in: folder.path))
        let error = fault { _ = try profiler.measure([sampleProgram()]) }
        #expect(error?.code == .unsupported)
        #expect(error?.message.contains("no latency") == true)
    }
}
