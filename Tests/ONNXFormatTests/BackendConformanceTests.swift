import Foundation
import IR
import ONNXFormat
import Operators
import Testing

/// ONNX's backend cases run through the importer and the definitions of the operators.
@Suite(.enabled(if: BackendCases.folder != nil, "set ONNX_BACKEND_CASES to the folder of ONNX's backend cases"))
struct BackendConformanceTests {
    /// Cases that expect 8-bit results to wrap around where the operator's text, and ONNX Runtime, saturate them.
    private static let contradictions: Set<String> = [
        "test_qlinearmatmul_2D_int8_float16", "test_qlinearmatmul_2D_int8_float32",
        "test_qlinearmatmul_3D_int8_float16",
        "test_qlinearmatmul_3D_int8_float32",
    ]

    private enum Verdict {
        case passed
        case refused(String)
        case failed(String)
    }

    /// Compares one data set; integer inputs that decide shapes are bound to their values.
    private func judge(_ folder: String) throws -> Verdict {
        do throws(ONNXError) {
            let model = try ONNXModel(path: folder + "/model.onnx")
            for data in (try? BackendCases.dataSets(of: folder)) ?? [] {
                let required = model.requiredInputs
                let tensors = try ONNXTestData.tensors(folder: data, prefix: "input", declared: required)
                let expected = try ONNXTestData.tensors(folder: data, prefix: "output", declared: model.graph.outputs)
                let values = Dictionary(zip(required.map(\.name), tensors)) { first, _ in first }
                let graph = try ONNXImporter.graph(of: model, offering: values)
                let operands = graph.inputNames.compactMap { values[$0]?.literal }
                let found: [Literal]
                do throws(ShapeError) {
                    if operands.contains(where: { $0.element == .f64 }) {
                        found = try Interpreter.run(graph, inputs: operands.map { ReferenceTensor<Double>($0) }).map(
                            \.literal)
                    } else {
                        found = try Interpreter.run(graph, inputs: operands.map { ReferenceTensor<Float>($0) }).map(
                            \.literal)
                    }
                } catch {
                    return .failed(error.description)
                }
                for (index, (a, b)) in zip(found, expected.map(\.literal)).enumerated() {
                    guard a.type == b.type else { return .failed("output \(index) is \(a.type), expected \(b.type)") }
                    let half = b.element == .f16 || b.element == .bf16
                    guard a.isClose(to: b, relative: half ? 1e-2 : 1e-3, absolute: half ? 1e-3 : 1e-6) else {
                        return .failed("output \(index) differs: \(a.reals.prefix(6)), expected \(b.reals.prefix(6))")
                    }
                }
            }
            return .passed
        } catch {
            return error.code == .unsupported ? .refused("\(error.cause)") : .failed("\(error)")
        }
    }

    @Test func noCaseFails() throws {
        var passed = 0
        var refused: [String: Int] = [:]
        var failures: [String] = []
        let cases = try BackendCases.all().filter { !$0.contains("/light/") && !$0.contains("/real/") }
        for folder in cases {
            let name = folder.split(separator: "/").last.map(String.init) ?? folder
            switch try judge(folder) {
            case .passed: passed += 1
            case .refused(let reason): refused[reason, default: 0] += 1
            case .failed(let reason): failures.append("\(name): \(reason)")
            }
        }
        for (reason, count) in refused.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            print("refused \(count): \(reason)")
        }
        for failure in failures { print("failed \(failure)") }
        print(
            "\(passed) passed, \(refused.values.reduce(0, +)) refused, \(failures.count) failed, of \(cases.count) cases"
        )
        #expect(passed > 1150)
        #expect(Set(failures.map { String($0.prefix { $0 != ":" }) }) == Self.contradictions)
    }
}
