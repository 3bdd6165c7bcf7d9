import Foundation
import Hardware
import IR
import Operators
import Testing

@Suite struct TargetTests {
    static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("targets").path

    @Test(arguments: TargetLibrary().names)
    func everyTargetLoads(name: String) throws {
        let target = try TargetLibrary().target(name)
        #expect(target.name == name)
        #expect(target.vector.bits >= 32)
        #expect(!target.packages.isEmpty)
        let emulated = ["qemu-user", "qemu-system"].contains { kind in
            switch target.runner {
            case .qemuUser: kind == "qemu-user"
            case .qemuSystem: kind == "qemu-system"
            default: false
            }
        }
        #expect(emulated == (target.figures != .latency), "an emulator's time is no latency")
        if emulated { #expect(target.description.contains("no latency")) }
    }

    /// The list in `TargetLibrary` and the folder `targets/` are the same, byte for byte.
    @Test func shippedTargetsAreTheFolder() throws {
        let shipped = TargetLibrary()
        let folder = try TargetLibrary(folder: Self.folder)
        #expect(shipped.names.sorted() == folder.names.sorted())
        for name in folder.names { #expect(try shipped.target(name) == folder.target(name)) }
    }

    @Test func hostIsThisMachine() throws {
        let host = try TargetLibrary().target("host")
        #expect(host.triple != "native")
        #expect(host.vector.bits >= 64)
        #if arch(x86_64)
            #expect(host.family == .x8664)
        #elseif arch(arm64)
            #expect(host.family == .aarch64)
        #endif
        #expect(host.runner == .local(core: nil))
    }

    /// Vectors, or single floats where there are none; transforms that enlarge weights stay off microcontrollers.
    @Test func schedulesFitTheTarget() throws {
        var g = GraphBuilder(name: "dense")
        let image = g.input("image", .f32(1, 16, 16, 16))
        let filter = g.constant(Literal(.f32, [32, 16, 3, 3], reals: (0..<4608).map { Double($0 % 7) - 3 }))
        let y = try g.append(Conv2D(kernel: 3), image, filter)
        let graph = g.finish(outputs: [y])
        func text(_ name: String, exact: Bool = false) throws -> String {
            try TargetLibrary().target(name)
                .deployed(graph, exact: exact).description
        }
        for (name, lanes) in [
            ("x86-64-v4", 16), ("x86-64-v3", 8), ("cortex-a53", 4), ("cortex-m55", 4), ("cortex-m7", 1),
        ] {
            #expect(try text(name).contains("lanes = \(lanes)"), "\(name)")
        }
        let transformed = "winograd = [24]"
        #expect(try text("x86-64-v4").range(of: transformed, options: .regularExpression) != nil)
        #expect(try text("x86-64-v4", exact: true).range(of: transformed, options: .regularExpression) == nil)
        #expect(try text("cortex-m7").range(of: transformed, options: .regularExpression) == nil)
    }

    @Test func valuesAreRead() throws {
        let target = try TargetLibrary().target("cortex-m55")
        #expect(target.family == .cortexM)
        #expect(target.hertz == 32_000_000)
        #expect(target.vector == Target.Vector(bits: 128, registers: 8, fusedMultiplyAdd: true))
        #expect(target.bytes(of: "ram") == 64 << 20)
        #expect(target.memories.first { $0.name == "flash" }?.origin == 0x6000_0000)
        #expect(target.startup == .cortexM)
        #expect(try TargetLibrary().target("x86-64-v4").caches == Target.Caches(l1Data: 32 << 10, l2: 1 << 20))
        #expect(try TargetLibrary().target("x86-64-v3").compiler(named: "clang").command == "clang")
    }

    static let sample = """
        format: 1
        name: sample
        family: aarch64
        description: a board
        triple: aarch64-linux-gnu
        cpu: generic
        compilers:
          gcc: {command: gcc, flags: [-O2]}
        vector: {bits: 128, registers: 32, fma: true}
        caches: {l1d: 32 KiB}
        runner:
          kind: ssh
          host: board
          port: 2222
          folder: /var/tmp
        figures: latency
        packages: []
        source: made up
        """

    @Test func aUsersFileIsRead() throws {
        let folder = try TestFolder()
        let path = try folder.file("mine.yaml", Self.sample)
        let target = try TargetLibrary().target(path)
        #expect(target.runner == .ssh(host: "board", port: 2222, folder: "/var/tmp", options: []))
        #expect(try TargetLibrary(folder: folder.path).names == ["mine"])
        let error = fault { _ = try TargetLibrary(folder: folder.path).target("mine") }
        #expect(error?.message.contains("expected the name 'mine', found 'sample'") == true)
    }

    @Test(arguments: [
        ("name: sample", "nmae: sample", "t.yaml:2:1: target: unknown key 'nmae'; known: format, name, family,"),
        ("family: aarch64", "family: vax", "t.yaml:3:9: family: unknown value 'vax'; known: x86-64, aarch64, armv7,"),
        ("format: 1", "format: 9", "t.yaml:1:9: format: expected 1, found 9"),
        ("cpu: generic\n", "", "t.yaml:1:1: target: the key 'cpu' is missing"),
        ("bits: 128", "bits: wide", "t.yaml:9:16: vector: bits: expected an integer in 32...65536, found 'wide'"),
        ("fma: true", "fma: perhaps", "t.yaml:9:41: vector: fma: expected true or false, found 'perhaps'"),
        (
            "l1d: 32 KiB", "l1d: 32",
            "t.yaml:10:15: caches: l1d: expected an integer and a unit (B, KiB, MiB, GiB), found '32'"
        ),
        ("l1d: 32 KiB", "l1: 32 KiB", "t.yaml:10:10: caches: unknown key 'l1'; known: l1d, l2, l3, line"),
        ("kind: ssh", "kind: radio", "t.yaml:12:9: runner: kind: unknown value 'radio'; known: local, command, ssh,"),
        ("host: board", "host: [a]", "t.yaml:13:9: runner: host: expected text, found a list"),
        ("host: board", "host: -oProxyCommand=x", "t.yaml:13:9: runner: host: a name cannot start with '-'"),
        ("port: 2222", "port: 70000", "t.yaml:14:9: runner: port: expected an integer in 1...65535, found '70000'"),
        ("flags: [-O2]", "flags: -O2", "t.yaml:8:30: compiler gcc: flags: expected a list, found '-O2'"),
        ("packages: []", "packages: []\npackages: []", "t.yaml:17:1: the key 'packages' occurs twice"),
        ("cpu: generic", "cpu: [", "t.yaml:"),
    ])
    func faultsNameTheirPlace(old: String, new: String, message: String) {
        let text = Self.sample.replacingOccurrences(of: old, with: new)
        #expect(text != Self.sample)
        let error = fault { _ = try Target(yaml: text, file: "t.yaml") }
        #expect(error?.code == .badTarget)
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    }

    @Test func otherFaults() throws {
        #expect(fault { _ = try Target(yaml: "", file: "t.yaml") }?.message.contains("empty") == true)
        #expect(
            fault { _ = try Target(yaml: "- 1", file: "t.yaml") }?.description
                == "t.yaml:1:1: target: expected a mapping, found a list")
        let unknown = fault { _ = try TargetLibrary().target("pdp-11") }
        #expect(unknown?.code == .unknownTarget)
        #expect(unknown?.message.hasPrefix("unknown target 'pdp-11'; known: aarch64-qemu, armv7-neon,") == true)
        #expect(fault { _ = try TargetLibrary().target("/nowhere/a.yaml") }?.code == .file)
        let bare = Self.sample + "\nstartup: cortex-m"
        #expect(fault { _ = try Target(yaml: bare, file: "t.yaml") }?.message.contains("memory 'flash'") == true)
    }
}
