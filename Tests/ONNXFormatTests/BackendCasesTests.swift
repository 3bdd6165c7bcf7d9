import Foundation
import ONNXFormat
import Testing

/// ONNX's backend cases, when `ONNX_BACKEND_CASES` names their folder (`onnx/backend/test/data` of the Python package).
enum BackendCases {
    static let folder = ProcessInfo.processInfo.environment["ONNX_BACKEND_CASES"]

    /// Folders that hold a `model.onnx`, in order of name.
    static func all() throws -> [String] {
        guard let folder, let files = FileManager.default.enumerator(atPath: folder) else { return [] }
        return files.compactMap { $0 as? String }.filter { $0.hasSuffix("/model.onnx") }.sorted()
            .map { folder + "/" + $0.dropLast("/model.onnx".count) }
    }

    static func dataSets(of folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("test_data_set_") }.sorted()
            .map { folder + "/" + $0 }
    }
}

@Suite(.enabled(if: BackendCases.folder != nil, "set ONNX_BACKEND_CASES to the folder of ONNX's backend cases"))
struct BackendCasesTests {
    @Test func everyCaseIsReadOrClearlyRefused() throws {
        let cases = try BackendCases.all()
        #expect(cases.count >= 1000)
        var read = 0
        var reasons: [String: Int] = [:]
        for folder in cases {
            do throws(ONNXError) {
                let model = try ONNXModel(path: folder + "/model.onnx").inliningFunctions()
                for data in (try? BackendCases.dataSets(of: folder)) ?? [] {
                    _ = try ONNXTestData.tensors(folder: data, prefix: "input", declared: model.requiredInputs)
                    _ = try ONNXTestData.tensors(folder: data, prefix: "output", declared: model.graph.outputs)
                }
                read += 1
            } catch {
                #expect(error.code == .unsupported, "\(error)")
                reasons[error.cause, default: 0] += 1
            }
        }
        for (reason, count) in reasons.sorted(by: { $0.key < $1.key }) { print("refused \(count): \(reason)") }
        print("read \(read) of \(cases.count)")
        #expect(read > 1200)
    }
}
