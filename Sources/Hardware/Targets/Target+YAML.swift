extension Target {
    /// Reads a target description.
    ///
    /// Values written `native` are taken from this machine.
    ///
    /// - Throws: ``HardwareError`` with file, line and column at the first fault.
    public init(yaml text: String, file: String) throws(HardwareError) {
        let root = try YAMLValue(parsing: text, file: file)
        let entries = try root.mapping(
            "target",
            required: [
                "format", "name", "family", "description", "triple", "cpu", "compilers", "vector", "runner", "figures",
                "packages", "source",
            ],
            optional: ["clock", "caches", "memories", "startup"])
        let version = try entries["format"].integer("format")
        guard version == Target.format else {
            throw entries["format"].fault("format: expected \(Target.format), found \(version)")
        }
        name = try entries["name"].string("name")
        description = try entries["description"].string("description")
        cpu = try entries["cpu"].string("cpu")
        hertz = try entries.optional("clock")?.hertz("clock")
        compilers = try Target.compilers(entries["compilers"])
        packages = try entries["packages"].strings("packages")
        source = try entries["source"].string("source")
        figures = try entries["figures"].choice("figures")
        runner = try Target.runner(entries["runner"])
        memories = try Target.memories(entries.optional("memories"))
        startup = nil
        if let value = entries.optional("startup") { startup = try value.choice("startup", Startup.self) }
        if startup != nil {
            for needed in ["flash", "ram"] where !memories.contains(where: { $0.name == needed && $0.origin != nil }) {
                throw root.fault("startup: expected a memory '\(needed)' with an origin for the linker script")
            }
        }

        let native = ["family", "triple", "vector"].filter { entries[$0].found == "'native'" }
        let machine = native.isEmpty ? nil : try NativeMachine.describe(compiler: compilers[0])
        triple = try entries["triple"].string("triple")
        if triple == "native", let machine { triple = machine.triple }
        if native.contains("family"), let machine {
            family = machine.family
        } else {
            family = try entries["family"].choice("family")
        }
        if native.contains("vector"), let machine {
            vector = machine.vector
        } else {
            vector = try Target.vector(entries["vector"])
        }
        caches = nil
        if let value = entries.optional("caches") {
            caches = value.found == "'native'" ? NativeMachine.caches() : try Target.caches(value)
        }
    }

    private static func compilers(_ value: YAMLValue) throws(HardwareError) -> [Compiler] {
        var compilers: [Compiler] = []
        for (name, body) in try value.pairs("compilers") {
            let entries = try body.mapping("compiler \(name)", required: ["command"], optional: ["flags", "link"])
            compilers.append(
                Compiler(
                    name: name, command: try entries["command"].string(entries.name("command")),
                    flags: try entries.optional("flags")?.strings(entries.name("flags")) ?? [],
                    linkerFlags: try entries.optional("link")?.strings(entries.name("link")) ?? []))
        }
        guard !compilers.isEmpty else { throw value.fault("compilers: expected at least one, found none") }
        return compilers
    }

    private static func vector(_ value: YAMLValue) throws(HardwareError) -> Vector {
        let entries = try value.mapping("vector", required: ["bits", "registers", "fma"])
        return Vector(
            bits: try entries["bits"].integer("vector: bits", in: 32...65536),
            registers: try entries["registers"].integer("vector: registers", in: 1...1024),
            fusedMultiplyAdd: try entries["fma"].boolean("vector: fma"))
    }

    private static func caches(_ value: YAMLValue) throws(HardwareError) -> Caches {
        let entries = try value.mapping("caches", required: ["l1d"], optional: ["l2", "l3", "line"])
        return Caches(
            l1Data: try entries["l1d"].bytes("caches: l1d"),
            l2: try entries.optional("l2")?.bytes("caches: l2") ?? 0,
            l3: try entries.optional("l3")?.bytes("caches: l3") ?? 0,
            line: try entries.optional("line")?.bytes("caches: line") ?? 64)
    }

    private static func memories(_ value: YAMLValue?) throws(HardwareError) -> [Memory] {
        guard let value else { return [] }
        var memories: [Memory] = []
        for (name, body) in try value.pairs("memories") {
            let entries = try body.mapping("memory \(name)", required: ["size"], optional: ["origin"])
            memories.append(
                Memory(
                    name: name, bytes: try entries["size"].bytes(entries.name("size")),
                    origin: try entries.optional("origin")?.address(entries.name("origin"))))
        }
        return memories
    }

    private enum RunnerKind: String, CaseIterable {
        case local, command, ssh
        case qemuUser = "qemu-user"
        case qemuSystem = "qemu-system"
    }

    private static func runner(_ value: YAMLValue) throws(HardwareError) -> Runner {
        let all = try value.pairs("runner")
        guard let kindValue = all.first(where: { $0.name == "kind" })?.value else {
            throw value.fault("runner: the key 'kind' is missing")
        }
        switch try kindValue.choice("runner: kind", RunnerKind.self) {
        case .local:
            let entries = try value.mapping("runner", required: ["kind"], optional: ["core"])
            return .local(core: try entries.optional("core")?.integer("runner: core", in: 0...4095))
        case .command:
            let entries = try value.mapping("runner", required: ["kind", "command"])
            let words = try entries["command"].strings("runner: command")
            guard words.contains(where: { $0.contains("{program}") }) else {
                throw entries["command"].fault("runner: command: expected {program} in one of its words, found none")
            }
            return .command(words)
        case .qemuUser:
            let entries = try value.mapping("runner", required: ["kind", "command"], optional: ["arguments"])
            return .qemuUser(
                command: try entries["command"].string("runner: command"),
                arguments: try entries.optional("arguments")?.strings("runner: arguments") ?? [])
        case .qemuSystem:
            let entries = try value.mapping(
                "runner", required: ["kind", "command", "machine"], optional: ["arguments"])
            return .qemuSystem(
                command: try entries["command"].string("runner: command"),
                machine: try entries["machine"].string("runner: machine"),
                arguments: try entries.optional("arguments")?.strings("runner: arguments") ?? [])
        case .ssh:
            let entries = try value.mapping(
                "runner", required: ["kind", "host"], optional: ["port", "folder", "options"])
            let host = try entries["host"].string("runner: host")
            guard !host.hasPrefix("-") else {
                throw entries["host"].fault("runner: host: a name cannot start with '-'")
            }
            return .ssh(
                host: host, port: try entries.optional("port")?.integer("runner: port", in: 1...65535),
                folder: try entries.optional("folder")?.string("runner: folder") ?? "/tmp",
                options: try entries.optional("options")?.strings("runner: options") ?? [])
        }
    }
}
