/// A device that programs are generated for: how to build for it, how to run on it, and what its figures mean.
///
/// Targets are read from YAML files (``TargetLibrary``); a new one is a new file, nothing else.
public struct Target: Hashable, Sendable {
    /// The version of the file format that this code reads.
    public static let format = 1

    public var name: String
    public var family: Family
    /// One sentence for a list of targets.
    public var description: String
    /// The compiler's name of the platform, for instance `aarch64-linux-gnu`.
    public var triple: String
    public var cpu: String
    /// Cycles a second, where it is fixed.
    public var hertz: Int?
    /// In order of preference.
    public var compilers: [Compiler]
    public var vector: Vector
    public var caches: Caches?
    /// In the order of the file: what code and data live in.
    public var memories: [Memory]
    public var runner: Runner
    /// What the runner's figures may be used for.
    public var figures: Figures
    /// The start-up code and linker script that bare metal needs; hosted targets bring their own.
    public var startup: Startup?
    /// Debian packages that provide the compilers and the runner.
    public var packages: [String]
    /// Where the numbers of the file come from.
    public var source: String

    /// A group of processors that share an instruction set.
    public enum Family: String, CaseIterable, Hashable, Sendable {
        case x8664 = "x86-64"
        case aarch64
        case armv7
        case cortexM = "cortex-m"
        case riscv64
    }

    /// A compiler that builds for the target, with its flags.
    public struct Compiler: Hashable, Sendable {
        /// What a user chooses it by: `gcc` or `clang`.
        public var name: String
        public var command: String
        public var flags: [String]
        public var linkerFlags: [String]

        public init(name: String, command: String, flags: [String] = [], linkerFlags: [String] = []) {
            self.name = name
            self.command = command
            self.flags = flags
            self.linkerFlags = linkerFlags
        }
    }

    /// The registers that schedules tile for.
    public struct Vector: Hashable, Sendable {
        /// Width of a register; 32 means that there are only scalars.
        public var bits: Int
        public var registers: Int
        /// Whether multiply and add are one instruction.
        public var fusedMultiplyAdd: Bool

        public init(bits: Int, registers: Int, fusedMultiplyAdd: Bool) {
            self.bits = bits
            self.registers = registers
            self.fusedMultiplyAdd = fusedMultiplyAdd
        }

        /// How many `f32` fit into a register.
        public var floats: Int { max(1, bits / 32) }
    }

    /// Sizes in bytes; 0 where a level is missing.
    public struct Caches: Hashable, Sendable {
        public var l1Data: Int
        public var l2: Int
        public var l3: Int
        public var line: Int

        public init(l1Data: Int, l2: Int, l3: Int = 0, line: Int = 64) {
            self.l1Data = l1Data
            self.l2 = l2
            self.l3 = l3
            self.line = line
        }
    }

    /// A memory that a program may use.
    public struct Memory: Hashable, Sendable {
        /// `ram` and `flash` are what constraints speak of; others are named by their hardware.
        public var name: String
        public var bytes: Int
        /// Where it starts, on bare metal.
        public var origin: UInt64?

        public init(name: String, bytes: Int, origin: UInt64? = nil) {
            self.name = name
            self.bytes = bytes
            self.origin = origin
        }
    }

    /// How a built program gets to run.
    public enum Runner: Hashable, Sendable {
        /// On this machine, pinned to a core; without a number, to the last core that this process may use.
        case local(core: Int?)
        /// Any command; `{program}` stands for the program's path, `{arguments}` for its arguments.
        case command([String])
        /// Under user-mode emulation.
        case qemuUser(command: String, arguments: [String])
        /// On an emulated board whose program speaks to this machine by semihosting.
        case qemuSystem(command: String, machine: String, arguments: [String])
        /// On another machine, reached by the user's own ssh configuration.
        case ssh(host: String, port: Int?, folder: String, options: [String])
    }

    /// What the figures of a runner are good for.
    public enum Figures: String, CaseIterable, Hashable, Sendable {
        /// Time, comparable with a latency limit.
        case latency
        /// Executed instructions, counted by a simulator; no time.
        case instructions
        /// Nothing but right or wrong results.
        case correctness
    }

    /// A kind of bare-metal start-up that this package has code for.
    public enum Startup: String, CaseIterable, Hashable, Sendable {
        case cortexM = "cortex-m"
    }

    /// The size of the memory of that name, when the target states it.
    public func bytes(of memory: String) -> Int? {
        memories.first { $0.name == memory }?.bytes
    }

    /// The compiler of that name, or the preferred one.
    ///
    /// - Throws: ``HardwareError`` when the target has no such compiler.
    public func compiler(named name: String? = nil) throws(HardwareError) -> Compiler {
        guard let name else { return compilers[0] }
        guard let compiler = compilers.first(where: { $0.name == name }) else {
            let known = compilers.map(\.name).joined(separator: ", ")
            throw HardwareError(.unsupported, "target \(self.name): no compiler '\(name)'; known: \(known)")
        }
        return compiler
    }
}
