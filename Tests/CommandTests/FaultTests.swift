import Foundation
import Testing

/// Everything that can be wrong with what a user gives: one clear line on standard error, and exit status 4.
@Suite(.serialized) struct FaultTests {
    enum Damage { case missing, cut, magic, label }

    @Test(
        arguments: [
            (
                "train-images-idx3-ubyte", .missing,
                "no such file, with or without .gz. Name the folder that holds the four"
            ),
            ("train-images-idx3-ubyte", .cut, "in all, found 1000. Fetch it again."),
            ("train-labels-idx1-ubyte", .magic, "expected the magic number 0x00000801 of IDX labels, found 0x00000803"),
            ("train-labels-idx1-ubyte", .label, "label 49 is 10, expected 0 to 9"),
        ] as [(String, Damage, String)])
    func damagedData(file: String, damage: Damage, message: String) throws {
        let shell = try Shell()
        try shell.writeImages(training: 50, test: 10)
        let url = URL(fileURLWithPath: shell.path("images/" + file))
        let contents = try Data(contentsOf: url)
        switch damage {
        case .missing: try FileManager.default.removeItem(at: url)
        case .cut: try contents.prefix(1000).write(to: url)
        case .magic: try (Data([0, 0, 8, 3]) + contents.dropFirst(4)).write(to: url)
        case .label: try (contents.dropLast(1) + [10]).write(to: url)
        }
        try expectFault(shell, Shell.search(into: "run"), "images/\(file): ", message)
        #expect(try !shell.names().contains("run"))
    }

    @Test func missingData() throws {
        let shell = try Shell()
        let search = [Shell.command.path, "search", "-o", "run", "--preset", "quick", "--space", "micro-125"]
        try expectFault(shell, search + ["--data", "mnist"], "data set mnist: no folder was given.", "Name the folder")
        try expectFault(
            shell, search + ["--data", "imagenet"], "unknown data set 'imagenet'",
            "known: fashion-mnist, mnist, cifar10, cifar100.")
        try shell.writeImages(training: 50, test: 10)
        try expectFault(shell, Shell.search(into: "run"), "mnist: cannot take 1920 images", "out of 50 training images")
    }

    @Test(arguments: [
        ("{kernel: 3,", "{kernels: 3,", "conv: unknown key 'kernels'; known: kernel,"),
        ("nor_conv_3x3", "nor_conv_9x9", "unknown operator 'nor_conv_9x9'; known: none, skip_connect,"),
        ("input:", "inputs:", "unknown key 'inputs'; known: format, name, "),
    ])
    func wrongSpaces(old: String, new: String, message: String) throws {
        let shell = try Shell()
        let yaml = try shell.martlet("spaces", "micro-125").output
        let line = try #require(
            yaml.split(separator: "\n", omittingEmptySubsequences: false).firstIndex { $0.contains(old) })
        try Data(yaml.replacing(old, with: new).utf8).write(to: URL(fileURLWithPath: shell.path("space.yaml")))
        let search = Shell.search(into: "run").map { $0 == "micro-125" ? "./space.yaml" : $0 }
        for command in [search, [Shell.command.path, "spaces", "./space.yaml"]] {
            try expectFault(shell, command, "space.yaml:\(line + 1):", message)
        }
    }

    @Test func wrongTargets() throws {
        let shell = try Shell()
        try shell.writeModel(CommandTests.network)
        let bench = [Shell.command.path, "bench", "model.onnx", "--target"]
        try expectFault(shell, bench + ["moon"], "unknown target 'moon'; known: aarch64-qemu, armv7-neon,", "host")
        let host = try String(contentsOf: Shell.repository.appendingPathComponent("targets/host.yaml"), encoding: .utf8)
        try Data(host.replacing("family: native", with: "family: vax").utf8).write(
            to: URL(fileURLWithPath: shell.path("mine.yaml")))
        try expectFault(shell, bench + ["./mine.yaml"], "mine.yaml:4:9: family: unknown value 'vax'", "known: x86-64")
    }

    @Test func noCompilerAndABrokenOne() throws {
        let shell = try Shell()
        try shell.writeModel(CommandTests.network)
        // A path with what starts programs, and no compiler.
        try FileManager.default.createDirectory(atPath: shell.path("empty"), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: shell.path("empty/env"), withDestinationPath: "/usr/bin/env")
        let bench = [Shell.command.path, "bench", "model.onnx"]
        try expectFault(
            shell, bench, "target host: the compiler 'gcc' is not installed", "on Debian: apt-get install gcc",
            environment: ["PATH": shell.path("empty")])
        // A compiler that knows itself and the machine, and compiles nothing.
        try FileManager.default.createDirectory(atPath: shell.path("bin"), withIntermediateDirectories: true)
        let script = """
            #!/bin/sh
            case " $* " in
              *" --version "*|*" -E "*|*" -dumpmachine "*) exec /usr/bin/gcc "$@";;
            esac
            echo "model.c: In function 'model_run':" >&2
            echo "model.c:7:3: error: the moon is too far away" >&2
            echo "model.c:8:3: error: and so is the rest" >&2
            exit 1
            """
        _ = FileManager.default.createFile(
            atPath: shell.path("bin/gcc"), contents: Data(script.utf8), attributes: [.posixPermissions: 0o755])
        try expectFault(
            shell, bench, "gcc failed for target host: model.c:7:3: error: the moon is too far away", "",
            environment: ["PATH": shell.path("bin") + ":/usr/bin:/bin"])
    }

    @Test func foldersThatExist() throws {
        let shell = try Shell()
        try shell.writeModel(CommandTests.network)
        try shell.writeImages(training: 50, test: 10)
        try FileManager.default.createDirectory(atPath: shell.path("run"), withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: shell.path("run/notes.txt")))
        try expectFault(
            shell, [Shell.command.path, "compile", "model.onnx", "-o", "run"], "run: exists already", "--force")
        // Enough images, so that the folder is the only fault.
        try shell.writeImages(test: 10)
        try expectFault(shell, Shell.search(into: "run"), "run: the folder exists.", "replace it with --force")
        try expectFault(
            shell, Shell.search(into: "run") + ["--force"], "run: the folder holds other files than a run", "")
        #expect(try String(contentsOfFile: shell.path("run/notes.txt"), encoding: .utf8) == "mine")
        try expectFault(
            shell, [Shell.command.path, "search", "-o", "run", "--resume"], "run: holds no run to resume", "run.json")
    }

    /// A file may not grow beyond 4 KiB, and a device takes nothing.
    @Test func fullDisks() throws {
        let shell = try Shell()
        let weights = (0..<2048).map { _ in "1.5" }.joined(separator: ", ")
        try shell.writeModel(
            """
            graph @network(%x: f32[1,64]) {
              %0 = constant [\(weights)] : f32[64,32]
              %1 = matmul "product" %x, %0 : f32[1,32]
              return %1
            }
            """)
        let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" compile model.onnx -o out"
        let full = try shell.run(["sh", "-c", script, Shell.command.path])
        #expect(full.status == 4, "\(full.errors)")
        #expect(
            full.errors.hasPrefix("martlet: out/")
                && full.errors.hasSuffix("bytes were written: no room is left on the disk\n")
                && !full.errors.contains(".tmp"),
            "\(full.errors)")
        #expect(try shell.names().filter { $0 != "cache" } == ["data", "model.onnx"])
        try expectFault(
            shell, [Shell.command.path, "compile", "model.onnx", "-o", "model.onnx/out"],
            "model.onnx/out: cannot be written: Not a directory", "")
        for words in [["ops", "-o", "/dev/full"], ["inspect", "model.onnx", "--svg", "/dev/full"]] {
            try expectFault(
                shell, [Shell.command.path] + words, "/dev/full: cannot be written: No space left on device", "")
        }
        let output = try shell.run(["sh", "-c", "exec \"$0\" ops > /dev/full", Shell.command.path])
        #expect(output.status == 4)
        #expect(output.errors == "martlet: standard output: cannot be written: No space left on device\n")
    }

    @Test func limitsThatNothingMeetsEndWithFive() throws {
        let shell = try Shell()
        try shell.writeImages()
        let outcome = try shell.run(Shell.search(into: "run") + ["--macs", "1000"])
        #expect(outcome.status == 5, "\(outcome.errors)")
        #expect(
            outcome.errors.contains("macs: no network of the space micro-125 is within 1000; the cheapest has "),
            "\(outcome.errors)")
    }

    /// One line on standard error that names subject and remedy, nothing on standard output, status 4.
    private func expectFault(
        _ shell: Shell, _ words: [String], _ subject: String, _ remedy: String, environment: [String: String] = [:]
    ) throws {
        let outcome = try shell.run(words, environment: environment)
        #expect(outcome.status == 4 && outcome.output.isEmpty, "\(words): \(outcome.output)")
        let line = outcome.errors.split(separator: "\n").last.map(String.init) ?? ""
        #expect(
            line.hasPrefix("martlet: ") && line.contains(subject) && (remedy.isEmpty || line.contains(remedy)),
            "\(outcome.errors)")
    }
}
