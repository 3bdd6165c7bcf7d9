import Foundation

/// Runs built programs in the way that a target's runner says.
public struct ProgramRunner: Sendable {
    public let target: Target
    /// What one run may take.
    public var timeLimit: Duration

    public init(for target: Target, timeLimit: Duration = .seconds(300)) {
        self.target = target
        self.timeLimit = timeLimit
    }

    /// Runs the program once on the inputs, each given as its bytes, and returns the bytes of its outputs.
    ///
    /// The program must have been built with ``Harness/run``.
    ///
    /// - Throws: ``HardwareError`` when an input has another size than the program expects, or the program fails.
    public func run(_ program: BuiltProgram, inputs: [[UInt8]]) throws(HardwareError) -> [[UInt8]] {
        guard inputs.count == program.inputs.count else {
            throw HardwareError(
                .programFailed, "program: expected \(program.inputs.count) inputs, found \(inputs.count)")
        }
        for (port, bytes) in zip(program.inputs, inputs) where port.bytes != bytes.count {
            throw HardwareError(
                .programFailed, "input \(port.field): expected \(port.bytes) bytes, found \(bytes.count)")
        }
        let scratch = try ScratchFolder()
        try scratch.write(Array(inputs.joined()), to: "input.bin")
        _ = try execute(
            program.path, arguments: ["input.bin", "output.bin"], in: scratch, send: ["input.bin"],
            collect: ["output.bin"])
        let bytes = try scratch.read("output.bin")
        let expected = program.outputs.reduce(0) { $0 + $1.bytes }
        guard bytes.count == expected else {
            throw HardwareError(.programFailed, "program: expected \(expected) bytes of output, found \(bytes.count)")
        }
        var outputs: [[UInt8]] = []
        var offset = 0
        for port in program.outputs {
            outputs.append(Array(bytes[offset..<(offset + port.bytes)]))
            offset += port.bytes
        }
        return outputs
    }

    /// Runs the program with arguments and returns what it printed.
    ///
    /// - Parameters:
    ///   - cores: How many cores a local program is pinned to.
    ///   - counting: Whether a board's simulator counts instructions, which is slower: its clock then advances by one
    ///     nanosecond with each of them.
    /// - Throws: ``HardwareError`` when a tool is missing, or the program fails or runs past the time limit.
    public func output(
        of program: BuiltProgram, arguments: [String], cores: Int = 1, counting: Bool = false
    ) throws(HardwareError) -> String {
        let scratch = try ScratchFolder()
        return try execute(program.path, arguments: arguments, in: scratch, cores: cores, counting: counting).outputText
    }

    private func execute(
        _ program: String, arguments: [String], in scratch: ScratchFolder, send: [String] = [], collect: [String] = [],
        cores: Int = 1, counting: Bool = false
    ) throws(HardwareError) -> ProcessResult {
        let result: ProcessResult
        switch target.runner {
        case .local(let core):
            result = try start(try pinned(core, cores) + [program] + arguments, in: scratch)
        case .command(let template):
            var words: [String] = []
            for word in template {
                if word == "{arguments}" {
                    words += arguments
                } else {
                    words.append(word.replacingOccurrences(of: "{program}", with: program))
                }
            }
            result = try start(words, in: scratch)
        case .qemuUser(let command, let options):
            result = try start([command] + options + [program] + arguments, in: scratch)
        case .qemuSystem(let command, let machine, let options):
            let words = (["program"] + arguments).map { ",arg=" + $0.replacingOccurrences(of: ",", with: ",,") }
            result = try start(
                [command, "-M", machine, "-display", "none", "-monitor", "none", "-serial", "none"]
                    + ["-semihosting-config", "enable=on,target=native" + words.joined()]
                    + (counting ? ["-icount", "shift=0"] : []) + options + ["-kernel", program],
                in: scratch)
        case .ssh(let host, let port, let folder, let options):
            let connection = SSHConnection(host: host, port: port, folder: folder, options: options, target: target)
            result = try connection.run(
                program, arguments: arguments, in: scratch, send: send, collect: collect, timeLimit: timeLimit)
        }
        guard result.succeeded else {
            throw HardwareError(
                .programFailed,
                "target \(target.name): the program failed: \(result.endingText)"
                    + (result.errors.isEmpty ? "" : ": \(result.firstErrorLine)"))
        }
        return result
    }

    private func start(_ command: [String], in scratch: ScratchFolder) throws(HardwareError) -> ProcessResult {
        try Builder.run(command, as: "program", of: target, folder: scratch.path, timeLimit: timeLimit)
    }

    /// The words that pin a local program.
    private func pinned(_ core: Int?, _ count: Int) throws(HardwareError) -> [String] {
        let permitted = NativeMachine.permittedCores()
        if let core, !permitted.contains(core) {
            throw HardwareError(
                .unsupported, "target \(target.name): core \(core) is not among this process's cores \(permitted)")
        }
        guard count <= permitted.count else {
            throw HardwareError(
                .unsupported, "target \(target.name): expected at most \(permitted.count) cores, found \(count)")
        }
        // The last cores: interrupts and other programs gather on the first.
        let chosen = count == 1 ? [core ?? permitted[permitted.count - 1]] : Array(permitted.suffix(count))
        return ["taskset", "-c", chosen.map(String.init).joined(separator: ",")]
    }
}
