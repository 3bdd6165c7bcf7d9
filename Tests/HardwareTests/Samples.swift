import Foundation
import Hardware
import Testing

/// A hand-written program of the shape that code generation emits: `y = scale · x + 1`, repeated to take time.
func sampleProgram(scale: Float = 2, repeats: Int = 1, count: Int = 16, body: String? = nil) -> SourceProgram {
    let header = """
        #ifndef SAMPLE_H
        #define SAMPLE_H
        #define sample_ARENA_SIZE 64
        #define sample_ARENA_ALIGN 64
        typedef struct { const float *x; const int32_t *shift; } sample_inputs;
        typedef struct { float *y; } sample_outputs;
        int sample_run(const sample_inputs *, const sample_outputs *, void *arena);
        #endif
        """
    let source = """
        #include <stdint.h>
        #include "sample.h"
        int sample_run(const sample_inputs *in, const sample_outputs *out, void *arena) {
            volatile float *scratch = arena;
            for (int r = 0; r < \(repeats); r++)
                for (int i = 0; i < \(count); i++) {
                    scratch[0] = in->x[i] * \(scale)f;
                    out->y[i] = scratch[0] + 1.0f + (float)in->shift[0];
                }
            \(body ?? "")
            return 0;
        }
        """
    return SourceProgram(
        name: "sample", header: "sample.h",
        files: [
            SourceProgram.File(name: "sample.c", text: source),
            SourceProgram.File(name: "sample.h", text: "#include <stdint.h>\n" + header),
        ],
        inputs: [
            SourceProgram.Port(field: "x", type: "float", count: count, width: 4),
            SourceProgram.Port(field: "shift", type: "int32_t", count: 1, width: 4),
        ],
        outputs: [SourceProgram.Port(field: "y", type: "float", count: count, width: 4)])
}

func bytes(_ values: [Float]) -> [UInt8] { values.flatMap { value in littleEndian(value.bitPattern) } }

func bytes(_ values: [Int32]) -> [UInt8] { values.flatMap { value in littleEndian(UInt32(bitPattern: value)) } }

private func littleEndian(_ word: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }

func floats(_ bytes: [UInt8]) -> [Float] {
    stride(from: 0, to: bytes.count, by: 4).map { start in
        Float(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) })
    }
}

/// A folder for one test, removed with its last reference.
final class TestFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/martlet-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String, _ text: String) throws -> String {
        try text.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
        return path + "/" + name
    }
}

/// The error that the body throws; the test fails where it throws none.
func fault(_ body: () throws -> Void, at location: Testing.SourceLocation = #_sourceLocation) -> HardwareError? {
    do {
        try body()
        Issue.record("expected a HardwareError, found none", sourceLocation: location)
        return nil
    } catch let error as HardwareError {
        return error
    } catch {
        Issue.record("expected a HardwareError, found \(error)", sourceLocation: location)
        return nil
    }
}
