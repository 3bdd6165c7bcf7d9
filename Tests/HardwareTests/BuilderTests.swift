import CodeGeneration
import Foundation
import Hardware
import IR
import Operators
import Testing

@Suite struct BuilderTests {
    let folder: TestFolder
    let host: Target

    init() throws {
        folder = try TestFolder()
        host = try TargetLibrary().target("host")
    }

    @Test(arguments: ["gcc", "clang"])
    func buildsAndRuns(compiler: String) throws {
        let builder = try Builder(
            for: host, in: folder.path, compiler: compiler,
            flags: Builder.standardFlags + ["-Wall", "-Wextra", "-Werror"])
        let built = try builder.build(sampleProgram(), as: .run)
        let input = (0..<16).map { Float($0) }
        let outputs = try ProgramRunner(for: host).run(built, inputs: [bytes(input), bytes([Int32(3)])])
        #expect(outputs.map(floats) == [input.map { 2 * $0 + 4 }])
    }

    /// A compiler that cannot include a binary file gets the weights as text beside it, for builds and in what is written.
    @Test func aCompilerWithoutBinaryWeightsGetsText() throws {
        let weights = SourceProgram.File(name: "sample_weights.bin", contents: Array(0..<64))
        var program = sampleProgram(
            body: """
                static const uint64_t words[] = {
                #include "sample_weights.inc"
                };
                out->y[0] = (float)((const unsigned char *)words)[60] + (float)sizeof words;
                """)
        program.files.append(weights)
        let error = fault { _ = try Builder(for: host, in: folder.path).build(program, as: .run) }
        #expect(error?.message.contains("sample_weights.inc") == true)

        var plain = host
        plain.compilers = host.compilers.map {
            var compiler = $0
            compiler.flags.append("-DMARTLET_WEIGHTS_TEXT")
            return compiler
        }
        let built = try Builder(for: plain, in: folder.path).build(program, as: .run)
        let outputs = try ProgramRunner(for: plain).run(
            built, inputs: [bytes((0..<16).map(Float.init)), bytes([Int32(3)])])
        #expect(floats(outputs[0])[0] == 60 + 64)

        let graph = try Graph(
            parsing: """
                graph @sum(%x "x": f32[1,2]) {
                  %0 = constant [1.0, -2.0] : f32[1,2]
                  %1 = add %x, %0 : f32[1,2]
                  return %1 "y"
                }
                """)
        let written = try CProgram(graph, options: COptions(name: "net"))
        #expect(written.files(for: host) == written.files)
        #expect(written.files(for: plain).map(\.name) == written.files.map(\.name) + ["net_weights.inc"])
    }

    @Test func theSameBuildIsFound() throws {
        let builder = try Builder(for: host, in: folder.path)
        let first = try builder.build(sampleProgram(), as: .run)
        let made = try FileManager.default.attributesOfItem(atPath: first.path)[.modificationDate] as? Date
        #expect(try builder.build(sampleProgram(), as: .run) == first)
        #expect(try FileManager.default.attributesOfItem(atPath: first.path)[.modificationDate] as? Date == made)
        #expect(try builder.build(sampleProgram(scale: 3), as: .run).path != first.path)
        #expect(try builder.build(sampleProgram(), as: .bench).path != first.path)
        let slower = try Builder(for: host, in: folder.path, flags: ["-O1", "-std=gnu99"])
        #expect(try slower.build(sampleProgram(), as: .run).path != first.path)
        let leftovers = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
            $0.hasPrefix("martlet-")
        }
        #expect(leftovers.isEmpty)
        try builder.removeBuilds()
        #expect(!FileManager.default.fileExists(atPath: first.path))
    }

    @Test func severalAtOnce() throws {
        let builder = try Builder(for: host, in: folder.path, flags: ["-O0", "-std=gnu99"])
        let programs = (1...5).map { sampleProgram(scale: Float($0)) }
        let built = try builder.build(programs, as: .run, jobs: 3)
        #expect(built.map(\.program) == programs.map(\.fingerprint))
        #expect(Set(built.map(\.path)).count == 5)
        builder.discard(built[4])
        #expect(built.map { FileManager.default.fileExists(atPath: $0.path) } == [true, true, true, true, false])
        let mixed = [sampleProgram(), sampleProgram(body: "first_fault;"), sampleProgram(body: "second_fault;")]
        let error = fault { _ = try builder.build(mixed, as: .run, jobs: 2) }
        #expect(error?.message.contains("first_fault") == true)
        #expect(try builder.build([], as: .run, jobs: 2).isEmpty)
    }

    @Test func sizesAreThoseOfTheProgramAlone() throws {
        let builder = try Builder(for: host, in: folder.path)
        let plain = try builder.size(of: sampleProgram())
        #expect(plain.code > 20)
        #expect(plain.zeroed == 0)
        var program = sampleProgram(
            body: "extern const float w[]; extern float v[], z[]; *out->y += w[5] + v[1] + z[1];")
        program.files.append(
            SourceProgram.File(
                name: "weights.c", text: "const float w[1000] = {1}; float v[100] = {1}; float z[50];"))
        let larger = try builder.size(of: program)
        #expect((4000..<4400).contains(larger.constants - plain.constants))
        #expect(larger.data == 400)
        #expect(larger.zeroed == 200)
        #expect(larger.flash == larger.code + larger.constants + 400)
        #expect(larger.ram == 600)
    }

    @Test func aRejectedProgramShowsItsFirstError() throws {
        let builder = try Builder(for: host, in: folder.path)
        let error = fault { _ = try builder.build(sampleProgram(body: "undeclared++;"), as: .run) }
        #expect(error?.code == .compilerFailed)
        #expect(error?.message.hasPrefix("sample: gcc failed for target host: sample.c:") == true)
        #expect(error?.message.contains("error: 'undeclared' undeclared") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test func aMissingCompilerNamesItsPackage() throws {
        var target = try TargetLibrary().target("aarch64-qemu")
        target.compilers[0].command = "aarch64-no-such-gcc"
        let error = fault { _ = try Builder(for: target, in: folder.path) }
        #expect(error?.code == .toolMissing)
        #expect(
            error?.message == "target aarch64-qemu: the compiler 'aarch64-no-such-gcc' is not installed; on Debian: "
                + "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user")
        #expect(Builder.missingTools(of: target) == error)
        #expect(Builder.missingTools(of: host) == nil)
        let unknown = fault { _ = try Builder(for: host, in: folder.path, compiler: "icc") }
        #expect(unknown?.message == "target host: no compiler 'icc'; known: gcc, clang")
    }

    @Test func aCompilerWithoutTheTargetsLibraryIsMissingSomething() throws {
        var target = try TargetLibrary().target("host")
        target.packages = ["libc6-dev"]
        target.compilers[0].flags = ["-nostdinc"]
        let error = Builder.missingTools(of: target)
        #expect(error?.code == .toolMissing)
        #expect(error?.message.hasPrefix("target host: 'gcc' finds no C library: ") == true, "\(error?.message ?? "")")
        #expect(error?.message.hasSuffix("; on Debian: apt-get install libc6-dev") == true)
    }

    @Test func aFailingProgramIsReported() throws {
        let builder = try Builder(for: host, in: folder.path)
        let runner = ProgramRunner(for: host)
        let input = [bytes([Float](repeating: 0, count: 16)), bytes([Int32(0)])]
        let failing = try builder.build(sampleProgram(body: "return 7;"), as: .run)
        #expect(
            fault { _ = try runner.run(failing, inputs: input) }?.message
                == "target host: the program failed: exit status 1: error: the program's run function returned 7")
        let crashing = try builder.build(sampleProgram(body: "*(volatile int *)arena = *(volatile int *)8;"), as: .run)
        #expect(fault { _ = try runner.run(crashing, inputs: input) }?.message.contains("signal 11") == true)
        #expect(
            fault { _ = try runner.run(failing, inputs: [input[0]]) }?.message == "program: expected 2 inputs, found 1")
        #expect(
            fault { _ = try runner.run(failing, inputs: [input[1], input[1]]) }?.message
                == "input x: expected 64 bytes, found 4")
    }

    @Test func anEndlessProgramIsEnded() throws {
        let builder = try Builder(for: host, in: folder.path)
        let endless = try builder.build(sampleProgram(body: "for (volatile int i = 0;; i++) {}"), as: .run)
        let runner = ProgramRunner(for: host, timeLimit: .milliseconds(300))
        let input = [bytes([Float](repeating: 0, count: 16)), bytes([Int32(0)])]
        #expect(fault { _ = try runner.run(endless, inputs: input) }?.code == .timedOut)
    }

    @Test func aFolderThatCannotBeMade() throws {
        let file = try folder.file("taken", "")
        let builder = try Builder(for: host, in: file + "/builds")
        #expect(fault { _ = try builder.build(sampleProgram(), as: .run) }?.code == .file)
    }

    @Test func fingerprintsTellProgramsApart() {
        let prints = [
            sampleProgram(), sampleProgram(scale: 3), sampleProgram(repeats: 2), sampleProgram(count: 17),
        ].map(\.fingerprint.description)
        #expect(Set(prints).count == prints.count)
        #expect(prints.allSatisfy { $0.count == 32 })
        #expect(sampleProgram().fingerprint == sampleProgram().fingerprint)

        func print(_ fields: [[UInt8]]) -> String {
            var print = Fingerprint()
            for field in fields { print.add(field) }
            return print.description
        }
        #expect(print([[1, 2], [3]]) != print([[1], [2, 3]]))
        #expect(print([[]]) != print([[0]]))
        #expect(print([]) != print([[]]))
        // Half of the digits' bits should change with one bit of the input.
        var flipped = 0
        let base = [UInt8](repeating: 0x5a, count: 64)
        let reference = Array(print([base]).unicodeScalars).compactMap { Int(String($0), radix: 16) }
        for bit in 0..<512 {
            var changed = base
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            let digits = Array(print([changed]).unicodeScalars).compactMap { Int(String($0), radix: 16) }
            flipped += zip(reference, digits).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount }
        }
        #expect(abs(Double(flipped) / 512 - 64) < 2)
    }
}
