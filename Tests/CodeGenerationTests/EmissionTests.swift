import CodeGeneration
import Foundation
import IR
import Operators
import Passes
import TestSupport
import Testing

/// The shape of what is emitted: files, modes of weights, hooks, names, and use from C++.
@Suite struct EmissionTests {
    /// Two convolutions of one shape, a view, a shared input and a residual: everything that the writer treats specially.
    static func network() throws -> Graph {
        try Graph(
            parsing: """
                graph @block(%x "image/in:0": f32[1,2,4,4]) {
                  %0 = constant [1.0, -2.0, 0.5, 0.25] : f32[2,2,1,1]
                  %1 = constant [0.5, -0.5] : f32[2]
                  %2 = conv2d "first/conv" %x, %0, %1 : f32[1,2,4,4]
                  %3 = relu "first/relu" %2 : f32[1,2,4,4]
                  %4 = constant [0.125, 3.0, 1.0, -1.0] : f32[2,2,1,1]
                  %5 = constant [1.5, -2.5] : f32[2]
                  %6 = conv2d "second */ conv" %3, %4, %5 : f32[1,2,4,4]
                  %7 = relu %6 : f32[1,2,4,4]
                  %8 = add "sum" %7, %3 : f32[1,2,4,4]
                  %9 = reshape %8 {shape = [1, 32]} : f32[1,32]
                  %10 = softmax %9 : f32[1,32]
                  %11 = tanh "double" %x : f32[1,2,4,4]
                  return %10 "class probabilities", %11 "double"
                }
                """)
    }

    static func program(_ configure: (inout COptions) -> Void = { _ in }) throws -> CProgram {
        let graph = try network()
        var options = COptions(name: "tiny")
        var random = RandomSource(seed: 1)
        let input = Literal(.f32, [1, 2, 4, 4], reals: (0..<32).map { _ in random.uniform() * 2 - 1 })
        let outputs = try Interpreter.run(graph, inputs: [ReferenceTensor<Float>(input)]).map(\.literal)
        options.test = TestVector(inputs: [input], outputs: outputs)
        configure(&options)
        return try CProgram(try Pipeline.deployment().run(graph), options: options)
    }

    /// With `MARTLET_RECORD=1` the files are written anew; review the difference.
    @Test func textIsAsRecorded() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden")
        let program = try Self.program()
        for file in program.files where !file.name.hasSuffix(".bin") {
            let place = folder.appendingPathComponent(file.name + ".txt")
            if ProcessInfo.processInfo.environment["MARTLET_RECORD"] != nil {
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                try file.text.write(to: place, atomically: true, encoding: .utf8)
            }
            #expect(try String(contentsOf: place, encoding: .utf8) == file.text, "\(file.name)")
        }
        #expect(try Self.program() == program)
    }

    @Test(arguments: COptions.Weights.allCases, ["gcc", "clang"])
    func everyModeChecksItselfWithoutWarnings(weights: COptions.Weights, compiler: String) throws {
        let program = try Self.program {
            $0.weights = weights
            $0.profile = compiler == "gcc"
            $0.dump = weights == .c
        }
        let workshop = try Workshop()
        try workshop.write(program.files)
        let flags = "CFLAGS=" + (Workshop.strict + ["-O2", "-fsanitize=undefined"]).joined(separator: " ")
        let output = try workshop.expect(["make", "-s", "CC=\(compiler)", flags, "check", "bench-tiny"])
        #expect(output.hasSuffix("ok\n"), "\(output)")
        let figures = try workshop.expect(["./bench-tiny", "0.01"]).split(separator: "\n").last
        let object = try JSONSerialization.jsonObject(with: Data((figures ?? "").utf8)) as? [String: Double]
        #expect(try #require(object?["min_ms"]) <= #require(object?["median_ms"]))
        #expect(object?["p95_ms"] != nil && object?["runs"] != nil)
    }

    @Test func everyStepIsDumped() throws {
        let program = try Self.program { $0.dump = true }
        let workshop = try Workshop()
        try workshop.write(program.files)
        let input = try workshop.read("tiny_test.bin").prefix(128)
        try workshop.write([CProgram.File("inputs.bin", contents: Array(input))])
        try workshop.expect(["gcc"] + Workshop.strict + ["-I.", "-o", "dump", "dump_main.c", "tiny.c", "-lm"])
        try workshop.expect(["./dump", "inputs.bin", "values.bin"])
        let values = try workshop.read("values.bin")
        #expect(values.count == program.steps.count * 128)
        // Steps 3 and 4 make the outputs, which the test vector ends with.
        let made = Literal(.f32, [64], bytes: Array(values.suffix(256)))
        let expected = Literal(.f32, [64], bytes: Array(try workshop.read("tiny_test.bin").suffix(256)))
        #expect(difference(made, expected) < 1e-6)
    }

    @Test func theSelfCheckFailsOnAnotherResult() throws {
        let program = try Self.program { options in
            var test = options.test!
            var values = test.outputs[0].reals
            values[7] += 0.01
            test.outputs[0] = Literal(.f32, test.outputs[0].shape, reals: values)
            options.test = test
        }
        let workshop = try Workshop()
        try workshop.write(program.files)
        let result = try workshop.run("make", "-s", "check")
        #expect(result.status != 0)
        #expect(result.output.contains("FAILED"))
    }

    @Test func equalStepsShareOneFunction() throws {
        let source = try #require(try Self.program().sources.first { $0.name == "tiny.c" }).text
        #expect(source.components(separatedBy: "MARTLET_FUNCTION void fused_conv2d_").count == 2)
        #expect(source.components(separatedBy: "    fused_conv2d_0(").count == 3)
        // Names of the model lead from a line of C back to its node, without ending the comment.
        #expect(source.contains("\"first/conv\""))
        #expect(source.contains("\"second +/ conv\""))
    }

    @Test func namesBecomeUniqueFields() throws {
        let graph = try Graph(
            parsing: """
                graph @names(%a "x.1": f32[2], %b "x/1": f32[2], %c "int": f32[2], %d "9": f32[2], %e "é": f32[2], %f "": f32[2]) {
                  %0 = add %a, %b : f32[2]
                  %1 = add %c, %d : f32[2]
                  %2 = add %e, %f : f32[2]
                  return %0 "sum?", %1 "sum!", %2 "class"
                }
                """)
        let program = try CProgram(graph, options: COptions(name: "2 names"))
        #expect(program.name == "model_2_names")
        #expect(program.inputs.map(\.field) == ["x_1", "x_1_2", "int_", "input_9", "input", "input_2"])
        #expect(program.outputs.map(\.field) == ["sum", "sum_2", "class_"])
        let workshop = try Workshop()
        try workshop.write(program.sources)
        try workshop.expect(["gcc"] + Workshop.strict + ["-c", "model_2_names.c"])
    }

    @Test func theHeaderServesCPlusPlus() throws {
        let program = try Self.program()
        let workshop = try Workshop()
        try workshop.write(program.files)
        try workshop.write(
            "user.cpp",
            """
            #include "tiny.h"
            #include <cstdio>
            #include <vector>
            int main() {
                const int shape[] = tiny_IN_0_SHAPE;
                alignas(tiny_ARENA_ALIGN) static unsigned char arena[tiny_ARENA_SIZE];
                std::vector<float> image(tiny_IN_0_COUNT, 0.5f), classes(tiny_OUT_0_COUNT), other(tiny_OUT_1_COUNT);
                tiny_inputs in = {image.data()};
                tiny_outputs out = {classes.data(), other.data()};
                std::printf("%d %d %d\\n", shape[3], tiny_run(&in, &out, arena), tiny_run(&in, &out, arena + 1));
                return 0;
            }

            """)
        try workshop.expect(["gcc", "-std=c99", "-O1", "-c", "tiny.c"])
        try workshop.expect([
            "g++", "-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", "user", "user.cpp", "tiny.o", "-lm",
        ])
        #expect(try workshop.expect(["./user"]) == "4 0 2\n")
    }

    /// With every function replaced, the program needs neither `math.h` nor `string.h`.
    @Test func theLibraryCanBeReplaced() throws {
        let program = try Self.program { $0.weights = .c }
        let workshop = try Workshop()
        try workshop.write(program.sources)
        try workshop.write("math.h", "#error \"math.h\"\n")
        try workshop.write("string.h", "#error \"string.h\"\n")
        let source = try #require(program.sources.first { $0.name == "tiny.c" }).text
        let macros = Set(
            source.split(whereSeparator: \.isWhitespace).filter { $0.hasPrefix("MARTLET_") && $0.hasSuffix("F") }.map(
                String.init))
        #expect(macros == ["MARTLET_EXPF", "MARTLET_TANHF"])
        try workshop.write("own.h", "static inline float own(float x) { return x; }\n")
        let definitions =
            macros.sorted().map { "-D\($0)=own" } + ["-DMARTLET_MEMCPY=__builtin_memcpy", "-include", "own.h"]
        try workshop.expect(["gcc"] + Workshop.strict + ["-I.", "-c", "tiny.c"] + definitions)
    }

    /// Compilers know loops that copy or fill, and would call the library for them.
    @Test(arguments: ["gcc", "clang"]) func withoutALibraryLoopsStayLoops(_ compiler: String) throws {
        let graph = try Graph(
            parsing: """
                graph @joined(%x "x": f32[2,300,7], %y "y": f32[2,500,7]) {
                  %0 = concat %x, %y {axis = 1} : f32[2,800,7]
                  %1 = pad %0 {before = [0, 40, 0], after = [0, 0, 300]} : f32[2,840,307]
                  return %0 "z", %1 "p"
                }
                """)
        let program = try CProgram(try Pipeline.deployment().run(graph), options: COptions(name: "joined"))
        let workshop = try Workshop()
        try workshop.write(program.sources)
        let build = [compiler, "-std=c99", "-O3", "-c", "joined.c"]
        let own = ["-DMARTLET_MEMCPY=own_memcpy", "-DMARTLET_MEMSET=own_memset", "-include", "own.h"]
        try workshop.write(
            "own.h",
            "#include <stddef.h>\nvoid *own_memcpy(void *, const void *, size_t);\nvoid *own_memset(void *, int, size_t);\n"
        )
        try workshop.expect(build)
        let usual = try workshop.expect(["nm", "-u", "joined.o"])
        try workshop.expect(build + own)
        let replaced = try workshop.expect(["nm", "-u", "joined.o"])
        #expect(usual.contains(" memcpy") || usual.contains(" memset"))
        #expect(!replaced.contains(" memcpy") && !replaced.contains(" memset"))
    }

    @Test func aTestVectorMustFit() throws {
        #expect(throws: ExportError.self) { try Self.program { $0.test?.inputs = [] } }
        #expect(throws: ExportError.self) { try Self.program { $0.test?.outputs[0] = Literal([1.0]) } }
    }

    @Test func aTrainingGraphIsRefused() throws {
        let graph = try Graph(parsing: "graph @g() {\n  %0 = parameter \"w\" : f32[2]\n  return %0\n}\n")
        let error = #expect(throws: ExportError.self) { try CProgram(graph, options: COptions(name: "g")) }
        #expect(error?.message.contains("g is not ready to be written as C") == true)
    }

    /// Added one by one, such numbers lose half a percent to the sum that has piled up.
    @Test func longSumsKeepTheirDigits() throws {
        let count = 200_000
        let graph = try Graph(
            parsing: """
                graph @mean(%x "x": f32[1,\(count)]) {
                  %0 = reduce_mean %x {axes = [1]} : f32[1]
                  return %0 "y"
                }
                """)
        let input = Literal(.f32, [1, count], reals: [Double](repeating: 1.1, count: count))
        let test = TestVector(inputs: [input], outputs: [Literal(.f32, [1], reals: [1.1])])
        let program = try CProgram(try Pipeline.deployment().run(graph), options: COptions(name: "mean"))
        let found = try TestProgram.run(
            [TestProgram(name: "mean", program: program, test: test)], compiler: ["gcc", "-O2"])
        #expect(difference(found[0][0], test.outputs[0]) < 1e-5)
    }
}
