import Foundation
import Testing

/// ONNX's backend cases: those of Debian's `libonnx-testdata`, or of the folder that `ONNX_BACKEND_CASES` names.
private enum BackendSample {
    static let folder =
        ProcessInfo.processInfo.environment["ONNX_BACKEND_CASES"] ?? "/usr/share/libonnx-testdata/data"

    /// Folders with a `model.onnx` and data, in order of name.
    static let cases: [String] = ["node", "simple", "pytorch-operator", "pytorch-converted"].flatMap { kind in
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(kind)")) ?? []).sorted()
            .map { "\(folder)/\(kind)/\($0)" }
            .filter { FileManager.default.fileExists(atPath: $0 + "/test_data_set_0/output_0.pb") }
    }

    /// What most networks consist of.
    static let common = cases.filter { path in
        let name = (path as NSString).lastPathComponent.lowercased()
        return ["conv", "pool", "relu", "sigmoid", "softmax", "tanh", "elu", "hardswish", "matmul", "gemm", "linear"]
            .contains(where: name.contains)
    }
}

/// A sample of the cases through generated C, on this machine and on an emulated one; all of them, and the other
/// targets, are the business of `make conformance`.
@Suite(.enabled(if: !BackendSample.cases.isEmpty, "install libonnx-testdata")) struct BackendSampleTests {
    /// Passes, or is refused with a reason; anything else is a failure.
    private func judge(_ folder: String, _ options: [String], _ shell: Shell) throws -> Bool {
        let outcome = try shell.run(
            [
                Shell.command.path, "verify", folder + "/model.onnx", "--data", folder + "/test_data_set_0", "--quiet",
            ] + options)
        #expect(outcome.status == 0 || outcome.status == 3, "\(folder) \(options): \(outcome.errors)")
        #expect(outcome.status == 0 || outcome.errors.hasPrefix("martlet: "), "\(outcome.errors)")
        return outcome.status == 0
    }

    @Test func everyTwentiethCasePasses() throws {
        let shell = try Shell()
        let sample = stride(from: 7, to: BackendSample.cases.count, by: 20).map { BackendSample.cases[$0] }
        let passed = try sample.count { try judge($0, [], shell) }
        #expect(passed * 10 >= sample.count * 7, "\(passed) of \(sample.count)")
    }

    @Test(.enabled(if: Shell.has("aarch64-linux-gnu-gcc") && Shell.has("qemu-aarch64")))
    func everyTwelfthCommonCasePassesOnAnotherMachine() throws {
        let shell = try Shell()
        let sample = stride(from: 3, to: BackendSample.common.count, by: 12).map { BackendSample.common[$0] }
        let passed = try sample.count { try judge($0, ["--target", "aarch64-qemu"], shell) }
        #expect(passed * 10 >= sample.count * 8, "\(passed) of \(sample.count)")
    }
}
