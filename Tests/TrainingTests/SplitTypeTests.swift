import Foundation
import Testing
import Training

/// Test images cannot reach a search: a search takes splits of other roles, and a role cannot be changed.
///
/// The compiler is asked itself, on programs of a few lines against the modules that these tests were built from.
@Suite struct SplitTypeTests {
    static let sources: [(name: String, body: String, error: String?)] = [
        (
            "training on the weights' images",
            "_ = try BatchLoader(splits.weights, batchSize: 1, random: random) as BatchLoader<Split.Weights>", nil
        ),
        (
            "training on test images",
            "_ = try BatchLoader(splits.test, batchSize: 1, random: random) as BatchLoader<Split.Weights>",
            "cannot convert"
        ),
        (
            "a trainer over test images",
            "_ = try Trainer<SGD>(source, store: store, loader: BatchLoader(splits.test, batchSize: 1, random: random), configuration: configuration, backend: backend, random: random)",
            "cannot convert"
        ),
        (
            "recalibration on test images",
            "_ = try Evaluator(backend: backend).recalibrated(graph, store: store, on: splits.test, batches: 1, random: random)",
            "cannot convert"
        ),
        (
            "test images as validation images", "let split: DataSplit<Split.Validation> = splits.test; _ = split",
            "cannot "
        ),
        (
            "a split made by hand",
            "_ = DataSplit<Split.Weights>(splits.test.images, splits.test.indices, splits.normalization)",
            "is inaccessible due to 'internal' protection level"
        ),
    ]

    /// What the compiler needs to find the modules that this test was built from.
    static var flags: [String] {
        let build = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        let checkouts = build.deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
            "checkouts")
        let sources = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../Sources").standardized.path
        let maps = [
            "\(build.path)/CKernels.build/module.modulemap", "\(build.path)/COpenBLAS.build/module.modulemap",
            "\(checkouts.path)/swift-numerics/Sources/_NumericsShims/include/module.modulemap",
        ]
        return ["-I", "\(build.path)/Modules", "-I", "\(sources)/CZlib", "-I", "\(sources)/OpenBLAS"]
            + ["-Xcc", "-I\(sources)/CKernels/include"] + maps.flatMap { ["-Xcc", "-fmodule-map-file=\($0)"] }
    }

    @Test(arguments: sources.map(\.name)) func theCompilerKeepsRolesApart(name: String) throws {
        let source = try #require(Self.sources.first { $0.name == name })
        let folder = try TemporaryFolder()
        let program = """
            import Execution
            import IR
            import Training
            func program(
                _ splits: DataSplits, _ random: RandomSource, _ store: ParameterStore, _ backend: Backend, _ graph: Graph,
                _ source: NetworkSource, _ configuration: TrainingConfiguration<SGD>
            ) throws {
                \(source.body)
            }
            """
        try folder.write("program.swift", Array(program.utf8))
        let compiler = Process(), errors = Pipe()
        compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        compiler.arguments =
            ["swiftc", "-typecheck", "-swift-version", "6"] + Self.flags + [folder.path("program.swift")]
        compiler.standardError = errors
        try compiler.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        compiler.waitUntilExit()
        if let error = source.error {
            #expect(compiler.terminationStatus != 0 && text.contains("error: ") && text.contains(error), "\(text)")
        } else {
            #expect(compiler.terminationStatus == 0, "\(text)")
        }
    }
}
