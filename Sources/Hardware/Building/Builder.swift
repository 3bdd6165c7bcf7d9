import CodeGeneration
import Foundation

/// A program built for a target.
public struct BuiltProgram: Hashable, Sendable {
    /// The path of the executable file.
    public var path: String
    /// Names the source program (without the harness): the key of its measurements.
    public var program: Fingerprint
    /// The compiler's own words on its version.
    public var compilerVersion: String
    /// The source program's flags and the compiler's, in order.
    public var flags: [String]
    public var inputs: [SourceProgram.Port]
    public var outputs: [SourceProgram.Port]
}

/// Compiles programs for one target and keeps what it built.
///
/// A build is named by everything that went into it, so asking twice compiles once; several processes may share the
/// folder, since a finished build appears in it at once and whole.
public struct Builder: Sendable {
    public let target: Target
    public let compiler: Target.Compiler
    /// Where builds are kept, one folder each.
    public let folder: String
    public let compilerVersion: String
    /// Flags of every build, before the target's.
    public let flags: [String]

    /// Optimised, GNU dialect for the vector extensions. C99 alone would forbid fused multiply-add in gcc.
    public static let standardFlags = ["-O3", "-std=gnu99", "-ffp-contract=fast"]

    /// - Throws: ``HardwareError`` when the target has no such compiler or it is not installed.
    public init(
        for target: Target, in folder: String, compiler name: String? = nil, flags: [String] = standardFlags
    ) throws(HardwareError) {
        self.target = target
        self.folder = folder
        self.flags = flags
        compiler = try target.compiler(named: name)
        compilerVersion = try Builder.version(of: compiler, for: target)
    }

    /// Whether the target's preferred compiler, its C library and its runner are installed; otherwise what is missing.
    public static func missingTools(of target: Target) -> HardwareError? {
        do {
            let compiler = try target.compiler()
            _ = try version(of: compiler, for: target)
            try findHeaders(with: compiler, for: target)
            switch target.runner {
            case .qemuUser(let command, _), .qemuSystem(let command, _, _):
                _ = try run([command, "--version"], as: "simulator", of: target)
            case .local, .command, .ssh: break
            }
        } catch let error {
            return error
        }
        return nil
    }

    /// Compiles a program with a harness, or finds the same build of an earlier time.
    ///
    /// - Throws: ``HardwareError`` with the compiler's first error when it fails, or when the folder cannot be written.
    public func build(_ program: SourceProgram, as harness: Harness) throws(HardwareError) -> BuiltProgram {
        var files = program.files + [harness.source, Harness.header(for: program)]
        var linkerFlags = compiler.linkerFlags
        var definitions: [String] = []
        if let startup = target.startup {
            guard program.threads == 1 else {
                throw HardwareError(
                    .unsupported,
                    "target \(target.name): bare metal has no threads, found a program of \(program.threads); use 1")
            }
            switch startup {
            case .cortexM:
                files.append(
                    SourceProgram.File(name: "martlet_startup.c", contents: PackageResources.cortex_m_startup_c))
                files.append(SourceProgram.File(name: "martlet.ld", text: LinkerScript.cortexM(target.memories)))
            }
            linkerFlags += ["-T", "martlet.ld"]
            definitions = ["-DMARTLET_BARE_METAL", "-DMARTLET_CLOCK_HZ=\(target.hertz ?? 1_000_000_000)"]
        }
        let sources = files.filter(\.isCompiled).map(\.name)
        let allFlags = flags + program.flags + compiler.flags
        let command =
            [compiler.command] + allFlags + definitions + ["-I.", "-o", "program"] + sources + linkerFlags + ["-lm"]

        let place = folder + "/" + key(command, files)
        var built = BuiltProgram(
            path: place + "/program", program: program.fingerprint, compilerVersion: compilerVersion, flags: allFlags,
            inputs: program.inputs, outputs: program.outputs)
        if FileManager.default.isExecutableFile(atPath: built.path) { return built }

        let scratch = try ScratchFolder(in: folder)
        for file in files + weightsText(of: program.files) { try scratch.write(file.contents, to: file.name) }
        try compile(command, of: program, in: scratch)
        built.path = try scratch.keep(as: place) + "/program"
        return built
    }

    /// Compiles several programs at once, for machines with several cores.
    ///
    /// - Throws: ``HardwareError`` of the first program, in order, that does not compile.
    public func build(
        _ programs: [SourceProgram], as harness: Harness, jobs: Int
    ) throws(HardwareError) -> [BuiltProgram] {
        var results = [Result<BuiltProgram, HardwareError>?](repeating: nil, count: programs.count)
        let lanes = max(1, min(jobs, programs.count))
        results.withUnsafeMutableBufferPointer { buffer in
            let slots = Slots(buffer: buffer)
            DispatchQueue.concurrentPerform(iterations: lanes) { lane in
                for index in stride(from: lane, to: programs.count, by: lanes) {
                    slots.buffer[index] = Result { () throws(HardwareError) in
                        try build(programs[index], as: harness)
                    }
                }
            }
        }
        var built: [BuiltProgram] = []
        for case let result? in results { built.append(try result.get()) }
        return built
    }

    /// A buffer that several threads fill.
    private struct Slots: @unchecked Sendable {  // each slot is written by one lane and read after all have ended
        let buffer: UnsafeMutableBufferPointer<Result<BuiltProgram, HardwareError>?>
    }

    /// How large the program's own files become, without any harness or library.
    ///
    /// - Throws: ``HardwareError`` when they do not compile.
    public func size(of program: SourceProgram) throws(HardwareError) -> CodeSize {
        let scratch = try ScratchFolder()
        for file in program.files + weightsText(of: program.files) { try scratch.write(file.contents, to: file.name) }
        var size = CodeSize()
        for file in program.files where file.isCompiled {
            let command = [compiler.command] + flags + program.flags + compiler.flags + ["-I.", "-c", file.name]
            try compile(command + ["-o", "object"], of: program, in: scratch)
            guard let object = CodeSize(elf: try scratch.read("object")) else {
                throw HardwareError(.compilerFailed, "\(file.name): \(compiler.command) made no ELF object of it")
            }
            size = size + object
        }
        return size
    }

    private func compile(
        _ command: [String], of program: SourceProgram, in scratch: ScratchFolder
    ) throws(HardwareError) {
        let result = try Builder.run(command, as: "compiler", of: target, folder: scratch.path)
        guard result.succeeded else {
            throw HardwareError(
                .compilerFailed,
                "\(program.name): \(compiler.command) failed for target \(target.name): \(result.firstErrorLine)")
        }
    }

    /// Deletes one build.
    public func discard(_ program: BuiltProgram) {
        let place = URL(fileURLWithPath: program.path).deletingLastPathComponent().path
        try? FileManager.default.removeItem(atPath: place)
    }

    /// Deletes all builds.
    ///
    /// - Throws: ``HardwareError`` when the folder cannot be removed.
    public func removeBuilds() throws(HardwareError) {
        guard FileManager.default.fileExists(atPath: folder) else { return }
        do {
            try FileManager.default.removeItem(atPath: folder)
        } catch {
            throw HardwareError(
                .file, "\(folder): the folder of builds cannot be removed: \(error.localizedDescription)")
        }
    }

    private func key(_ command: [String], _ files: [SourceProgram.File]) -> String {
        var print = Fingerprint()
        print.add(command)
        print.add(compilerVersion)
        // What `-march=native` means depends on the machine, and the folder may be on a shared disk.
        print.add(compiler.flags.contains("-march=native") ? NativeMachine.identity() : "")
        for file in files {
            print.add(file.name)
            print.add(file.contents)
        }
        return print.description
    }

    private static func version(of compiler: Target.Compiler, for target: Target) throws(HardwareError) -> String {
        let result = try run([compiler.command, "--version"], as: "compiler", of: target)
        guard result.succeeded, let line = result.outputText.split(whereSeparator: \.isNewline).first else {
            throw HardwareError(
                .compilerFailed,
                "target \(target.name): '\(compiler.command) --version' failed: \(result.firstErrorLine)")
        }
        return String(line)
    }

    /// A compiler of several targets, as clang is, may be there without the C library of this one.
    private static func findHeaders(with compiler: Target.Compiler, for target: Target) throws(HardwareError) {
        let includes = ["-include", "stdint.h", "-include", "math.h"]
        let command =
            [compiler.command] + compiler.flags + includes + ["-fsyntax-only", "-x", "c", "/dev/null"]
        let result = try run(command, as: "compiler", of: target)
        guard !result.succeeded else { return }
        throw HardwareError(
            .toolMissing,
            "target \(target.name): '\(compiler.command)' finds no C library: \(result.firstErrorLine)"
                + installation(of: target))
    }

    private static func installation(of target: Target) -> String {
        target.packages.isEmpty ? "" : "; on Debian: apt-get install \(target.packages.joined(separator: " "))"
    }

    /// Runs a tool of the target; a missing one is reported with the Debian packages that bring it.
    static func run(
        _ command: [String], as kind: String, of target: Target, folder: String? = nil,
        timeLimit: Duration = .seconds(600)
    ) throws(HardwareError) -> ProcessResult {
        do {
            return try ChildProcess.run(command, folder: folder, timeLimit: timeLimit)
        } catch {
            guard error.code == .toolMissing else { throw error }
            throw HardwareError(
                .toolMissing,
                "target \(target.name): the \(kind) '\(command[0])' is not installed\(installation(of: target))")
        }
    }
}
