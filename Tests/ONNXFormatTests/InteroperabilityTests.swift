import Foundation
import IR
import ONNXFormat
import Operators
import Testing

/// A Python that has ONNX Runtime: `ONNXRUNTIME_PYTHON`, else `python3`. Never used in continuous integration.
enum Peer {
    static let python: String? = {
        let environment = ProcessInfo.processInfo.environment
        guard environment["CI"] == nil else { return nil }
        let python = environment["ONNXRUNTIME_PYTHON"] ?? "python3"
        return (try? run([python, "-c", "import onnxruntime, numpy"])) == 0 ? python : nil
    }()

    @discardableResult static func run(_ command: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// Runs every `NAME.onnx` of a folder on `NAME.in.K` and writes `NAME.out.K`, or `NAME.refused` with the reason.
    static let script = """
        import glob, os, sys
        import numpy, onnxruntime
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        kinds = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(bool)": "bool"}
        for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.onnx"))):
            base = path[:-5]
            try:
                session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
                feeds = {}
                for index, value in enumerate(session.get_inputs()):
                    kind = kinds.get(value.type) or value.type[7:-1]
                    feeds[value.name] = numpy.fromfile(f"{base}.in.{index}", dtype=kind).reshape(value.shape)
                for index, result in enumerate(session.run(None, feeds)):
                    numpy.ascontiguousarray(result).tofile(f"{base}.out.{index}")
            except Exception as error:
                open(base + ".refused", "w").write(str(error))
        """
}

@Suite(
    .enabled(
        if: Peer.python != nil, "no Python with onnxruntime and numpy was found (ONNXRUNTIME_PYTHON), or this is CI"))
struct InteroperabilityTests {
    @Test func onnxRuntimeComputesTheSame() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("onnx-peer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var random = RandomSource(seed: 11)
        var expected: [(name: String, results: [Literal])] = []
        for (index, (name, specimen)) in RoundTripTests.specimens.enumerated() where !specimen.op.isTrainingOnly {
            let (graph, isInput) = try specimen.graph()
            let base = folder.appendingPathComponent("case\(index)").path
            guard (try? ONNXExporter.write(graph, to: base + ".onnx")) != nil else { continue }
            let operands = zip(specimen.draw(&random), isInput).filter(\.1).map(\.0)
            for (position, operand) in operands.enumerated() {
                try Data(operand.bytes).write(to: URL(fileURLWithPath: "\(base).in.\(position)"))
            }
            let results = try Interpreter.run(graph, inputs: operands.map { ReferenceTensor<Double>($0) })
            expected.append((name, results.map(\.literal)))
            try Data(name.utf8).write(to: URL(fileURLWithPath: base + ".name"))
        }
        let script = folder.appendingPathComponent("peer.py")
        try Data(Peer.script.utf8).write(to: script)
        let python = try #require(Peer.python)
        #expect(try Peer.run([python, script.path, folder.path]) == 0)
        var compared = 0
        var refused: [String] = []
        for index in RoundTripTests.specimens.indices {
            let base = folder.appendingPathComponent("case\(index)").path
            guard let title = try? String(contentsOfFile: base + ".name", encoding: .utf8) else { continue }
            if let reason = try? String(contentsOfFile: base + ".refused", encoding: .utf8) {
                // ONNX Runtime has no kernels for many types; anything else is a fault of the file.
                refused.append("\(title): \(reason)")
                #expect(reason.contains("NOT_IMPLEMENTED") || reason.contains("bfloat16"), "\(title): \(reason)")
                continue
            }
            let results = try #require(expected.first { $0.name == title }).results
            for (position, result) in results.enumerated() {
                let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(base).out.\(position)"))
                let found = try #require(
                    bytes.count == result.bytes.count
                        ? Literal(result.element, result.shape, bytes: [UInt8](bytes)) : nil,
                    "\(title): result \(position) has \(bytes.count) bytes instead of \(result.bytes.count)")
                let tolerance = result.element == .f16 || result.element == .bf16 ? 1e-2 : 1e-4
                #expect(
                    found.isClose(to: result, relative: tolerance, absolute: tolerance),
                    "\(title): result \(position) differs")
                compared += 1
            }
        }
        print("compared \(compared) results with ONNX Runtime; \(refused.count) models use types it has no kernel for")
        #expect(compared > 20)
    }
}
