import ArgumentParser
import CodeGeneration
import Foundation
import Hardware
import IR
import ONNXFormat
import Passes

/// `martlet verify`: a network's C against given outputs.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a network's C on given inputs and compares its outputs with the expected ones.")

    @OptionGroup var model: ModelOptions
    @Option(help: "The folder with input_N.pb and output_N.pb.") var data: String
    @OptionGroup var target: TargetOption
    @Option(help: "Relative tolerance of reals.") var rtol = 1e-3
    @Option(help: "Absolute tolerance of reals.") var atol = 1e-7
    @Flag(help: "On a mismatch, name the first step whose value differs.") var dump = false
    @Flag(help: "No algorithm that gives up precision for speed.") var exact = false
    @Flag(help: "Plain C without vector extensions.") var portable = false
    @OptionGroup var result: ResultOptions

    /// One output's comparison.
    private struct Row: Encodable {
        var output: String
        var isEqual: Bool
        var difference: String?
        /// The largest difference that was let pass.
        var deviation: String?
    }

    func run() throws {
        Interruption.watch()
        let progress = ProgressDisplay(isQuiet: result.output.quiet)
        defer { progress.end() }
        let bytes = self.model.fileSize
        progress.step("reading and optimising", seconds: bytes * 1e-7, then: 1 + bytes * 6e-8)
        let model = try model.read()
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: data, isDirectory: &isFolder), isFolder.boolValue else {
            throw Failure(.badInput, "\(data): there is no such folder")
        }
        let given = try ONNXTestData.tensors(folder: data, prefix: "input", declared: model.requiredInputs)
        let expected = try ONNXTestData.tensors(folder: data, prefix: "output", declared: model.graph.outputs)
        guard given.count == model.requiredInputs.count else {
            throw Failure(.badInput, "\(data): expected \(model.requiredInputs.count) inputs, found \(given.count)")
        }
        guard !expected.isEmpty else { throw Failure(.badInput, "\(data): there is no output_0.pb") }
        var values: [String: ONNXTensorValue] = [:]
        for (info, value) in zip(model.requiredInputs, given) { values[info.name] = value }
        let graph = try ONNXImporter.graph(of: model, options: try self.model.options(for: model), offering: values)
        let inputs = try graph.inputNames.map { name in
            guard let value = values[name] else {
                throw Failure(.badInput, "\(data): there is no value for input '\(name)'")
            }
            return value.literal
        }
        let target = try target.load()
        let deployed = try target.deployed(graph, exact: exact, portable: portable)
        progress.step("compiling and running", seconds: 1 + bytes * 6e-8)
        let outputs = try execute(deployed, inputs, on: target)
        progress.end()
        let comparison = Comparison(relative: rtol, absolute: atol)
        let rows = expected.enumerated().map { index, value in
            let difference = comparison.difference(outputs[index], value.literal)
            let deviation = difference == nil ? comparison.deviation(outputs[index], value.literal) : nil
            return Row(
                output: graph.outputNames[index], isEqual: difference == nil, difference: difference,
                deviation: deviation.map { "\($0)" })
        }
        let wrongIndex = rows.firstIndex { !$0.isEqual }
        if let index = wrongIndex {
            try refuseWrappedIntegers(expected[index].literal, index, of: graph, inputs, named: rows[index].output)
        }
        if result.output.json {
            try result.emit("", json: rows)
        } else if !result.output.quiet, rows.contains(where: \.isEqual) {
            try result.emit(
                rows.filter(\.isEqual).map { row in
                    "output '\(row.output)': equal\(row.deviation.map { ", largest difference \($0)" } ?? "")"
                }.joined(separator: "\n"), json: rows)
        }
        guard let wrong = wrongIndex.map({ rows[$0] }) else { return }
        Terminal.error("output '\(wrong.output)': \(wrong.difference ?? "")")
        if dump { try nameDivergingStep(of: deployed, inputs, comparison, target, output: wrongIndex ?? 0) }
        throw Failure(.comparisonFailed, "output '\(wrong.output)' differs")
    }

    /// Refuses to judge by integers that wrapped around where the operator's definition saturates.
    ///
    /// Some published test data were made by a conversion that drops high bits. A program that reproduced them would be
    /// wrong for every network, so they are told apart: they are what the graph computes once its bounds are left out.
    private func refuseWrappedIntegers(
        _ expected: Literal, _ index: Int, of graph: Graph, _ inputs: [Literal], named name: String
    ) throws {
        guard expected.element.isInteger else { return }
        let wrapping = graph.wrappingConversions()
        guard wrapping != graph else { return }
        let values = try Interpreter.run(wrapping, inputs: inputs.map { ReferenceTensor<Double>($0) })
        guard values[index].literal == expected else { return }
        throw Failure(
            .unsupported,
            "\(data): output '\(name)': the expected values wrap around beyond \(expected.element), where the operator's definition saturates; no program can be judged by them"
        )
    }

    private func execute(_ graph: Graph, _ inputs: [Literal], on target: Target) throws -> [Literal] {
        let program = SourceProgram(try CProgram(graph, options: COptions(name: "network")))
        let outputs = try Folders.withTemporary { folder in
            let built = try Builder(for: target, in: folder, flags: ["-O1", "-std=gnu99"]).build(program, as: .run)
            return try ProgramRunner(for: target).run(built, inputs: inputs.map(\.bytes))
        }
        return zip(graph.types(of: graph.outputs), outputs).map { Literal($0.element, $0.shape, bytes: $1) }
    }

    /// Compares every intermediate value with the interpreter's.
    private func nameDivergingStep(
        of graph: Graph, _ inputs: [Literal], _ comparison: Comparison, _ target: Target, output: Int
    ) throws {
        guard case .local = target.runner else {
            Terminal.error("steps are compared on this machine alone; target \(target.name) runs elsewhere")
            return
        }
        let dumped = try Dump(of: graph, inputs: inputs, compiler: target.compiler())
        var all = graph
        let results = dumped.program.steps.map { graph.nodes[$0.node].results[0] }
        all.setOutputs(results, names: results.indices.map { "step \($0)" })
        let expected = try Interpreter.run(all, inputs: inputs.map { ReferenceTensor<Double>($0) })
        for (index, step) in dumped.program.steps.enumerated() {
            guard let difference = comparison.difference(dumped.values[index], expected[index].literal) else {
                continue
            }
            Terminal.error("the first step that differs is \(index), \(Self.label(step)): \(difference)")
            return
        }
        // Nothing is known of what the expected output went through, but for its last step.
        let maker = dumped.program.steps.indices.last {
            graph.nodes[dumped.program.steps[$0].node].results.contains(graph.outputs[output])
        }
        Terminal.error(
            "every step agrees with its operator's definition"
                + (maker.map { "; the output is that of step \($0), \(Self.label(dumped.program.steps[$0]))" } ?? "")
                + ": the expected values or the reading of the model are wrong")
    }

    private static func label(_ step: CProgram.Step) -> String {
        step.mnemonic + (step.name.map { " " + AttributeValue.quote($0) } ?? "")
    }
}

/// Every intermediate value of one run, from a build that dumps them.
struct Dump {
    let program: CProgram
    /// The first result of each step.
    let values: [Literal]

    init(of graph: Graph, inputs: [Literal], compiler: Target.Compiler) throws {
        var options = COptions(name: "network")
        options.dump = true
        let program = try CProgram(graph, options: options)
        let bytes = try Folders.withTemporary { folder in
            let files = program.files + [CProgram.File("inputs.bin", contents: inputs.flatMap(\.bytes))]
            for file in files { try Data(file.contents).write(to: URL(fileURLWithPath: folder + "/" + file.name)) }
            let built = try ChildProcess.run(
                [compiler.command, "-O1", "-std=gnu99"] + compiler.flags
                    + ["-I.", "-o", "dump", "dump_main.c", program.name + ".c"] + compiler.linkerFlags + ["-lm"],
                folder: folder)
            guard built.succeeded else {
                throw Failure(.badInput, "\(compiler.command) failed: \(built.firstErrorLine)")
            }
            let result = try ChildProcess.run(["./dump", "inputs.bin", "values.bin"], folder: folder)
            guard result.succeeded else { throw Failure(.badInput, "the program failed: \(result.firstErrorLine)") }
            return try [UInt8](Data(contentsOf: URL(fileURLWithPath: folder + "/values.bin")))
        }
        var position = 0
        values = program.steps.map { step in
            let literals = step.results.map { type in
                defer { position += type.byteCount }
                return Literal(type, stored: Array(bytes[position..<(position + type.byteCount)]))
            }
            return literals[0]
        }
        self.program = program
    }
}

extension Literal {
    /// A tensor from its bytes in memory, where channels may lie innermost with padding behind them.
    init(_ type: TensorType, stored bytes: [UInt8]) {
        guard case .channelsLast(let padding) = type.layout, type.rank > 1, type.count > 0 else {
            self.init(type.element, type.shape, bytes: bytes)
            return
        }
        let size = type.element.size, channels = type.shape[1], places = type.shape[2...].reduce(1, *)
        let stride = (channels + padding - 1) / padding * padding
        var plain: [UInt8] = []
        plain.reserveCapacity(type.count * size)
        for image in 0..<type.shape[0] {
            for channel in 0..<channels {
                for place in 0..<places {
                    let start = ((image * places + place) * stride + channel) * size
                    plain += bytes[start..<(start + size)]
                }
            }
        }
        self.init(type.element, type.shape, bytes: plain)
    }
}
