import CodeGeneration
import Foundation
import Testing

/// What surrounds an emitted program: other programs, mapped weights, sections of the linker.
@Suite struct LinkingTests {
    private func program(_ name: String, _ weights: COptions.Weights = .embed) throws -> CProgram {
        try EmissionTests.program {
            $0.name = name
            $0.weights = weights
        }
    }

    /// Two programs with equal networks and equal names inside, in one executable that C++ starts.
    @Test(arguments: COptions.Weights.allCases) func twoModelsLinkTogether(weights: COptions.Weights) throws {
        let workshop = try Workshop()
        var calls = ""
        for name in ["one", "two"] {
            try workshop.write(try program(name, weights).sources)
            let prepare =
                weights == .file
                ? "std::vector<char> blob(\(name)_WEIGHTS_SIZE + 64); in.weights = load(blob, \"\(name)_weights.bin\");"
                : ""
            calls += """
                {
                    alignas(64) static unsigned char arena[\(name)_ARENA_SIZE];
                    \(name)_inputs in = \(name)_inputs();
                    \(name)_outputs out = \(name)_outputs();
                    std::vector<float> classes(\(name)_OUT_0_COUNT), twice(\(name)_OUT_1_COUNT);
                    in.image_in_0 = image.data();
                    out.class_probabilities = classes.data();
                    out.double_ = twice.data();
                    \(prepare)
                    if (\(name)_run(&in, &out, arena)) return 1;
                    std::printf("%.4f %.4f\\n", (double)classes[3], (double)twice[0]);
                }

                """
        }
        let loader = """
            static void *load(std::vector<char> &blob, const char *path) {
                char *start = blob.data() + (64 - (size_t)blob.data() % 64);
                FILE *file = std::fopen(path, "rb");
                if (!file || !std::fread(start, 1, blob.size() - 64, file)) std::exit(2);
                std::fclose(file);
                return start;
            }

            """
        try workshop.write(
            "user.cpp",
            "#include \"one.h\"\n#include \"two.h\"\n#include <cstdio>\n#include <cstdlib>\n#include <vector>\n"
                + (weights == .file ? loader : "")
                + "int main() {\nstd::vector<float> image(one_IN_0_COUNT, 0.5f);\n\(calls)return 0;\n}\n")
        for name in ["one", "two"] {
            try workshop.expect(["gcc"] + Workshop.strict + ["-O1", "-I.", "-c", "\(name).c"])
        }
        try workshop.expect([
            "g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-o", "user", "user.cpp", "one.o", "two.o", "-lm",
        ])
        let lines = try workshop.expect(["./user"]).split(separator: "\n")
        #expect(lines.count == 2 && lines[0] == lines[1])
        #expect(lines.first?.hasSuffix(" 0.4621") == true, "\(lines)")
    }

    /// A mapped file serves as weights; one that was changed, or is shorter, is told by its hash.
    @Test func weightsCanBeMapped() throws {
        let program = try program("net", .file)
        let workshop = try Workshop()
        try workshop.write(program.files)
        try workshop.write(
            "user.c",
            """
            #define _POSIX_C_SOURCE 200809L
            #include "net.h"
            #include <fcntl.h>
            #include <stdio.h>
            #include <sys/mman.h>
            #include <sys/stat.h>
            static float image[net_IN_0_COUNT], classes[net_OUT_0_COUNT], twice[net_OUT_1_COUNT];
            static unsigned char memory[net_ARENA_SIZE + 64];
            int main(int count, char **words) {
                const int file = open(words[count - 1], O_RDONLY);
                struct stat status;
                fstat(file, &status);
                const void *weights = mmap(0, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
                net_inputs in = {image, weights};
                net_outputs out = {classes, twice};
                if (net_check_weights(weights, (size_t)status.st_size)) return puts("refused"), 0;
                printf("%d\\n", net_run(&in, &out, memory + (64 - (size_t)memory % 64)));
                in.weights = 0;
                printf("%d\\n", net_run(&in, &out, memory + (64 - (size_t)memory % 64)));
                return 0;
            }

            """)
        try workshop.expect(["gcc", "-std=c99", "-Wall", "-Wextra", "-I.", "-o", "user", "user.c", "net.c", "-lm"])
        #expect(try workshop.expect(["./user", "net_weights.bin"]) == "0\n1\n")
        var bytes = Array(try workshop.read("net_weights.bin"))
        bytes[5] ^= 1
        try workshop.write([CProgram.File("changed.bin", contents: bytes)])
        try workshop.write([CProgram.File("short.bin", contents: Array(bytes.dropLast()))])
        #expect(try workshop.expect(["./user", "changed.bin"]) == "refused\n")
        #expect(try workshop.expect(["./user", "short.bin"]) == "refused\n")
    }

    /// Weights and the caller's arena go where the linker script wants them, and nowhere else without the macros.
    @Test func sectionsCanBeNamed() throws {
        for (weights, definition) in [
            (COptions.Weights.embed, "-DMARTLET_WEIGHTS_SECTION=\".slow\""),
            (.c, "-DMARTLET_WEIGHTS_ATTRIBUTE=__attribute__((section(\".slow\")))"),
        ] {
            let workshop = try Workshop()
            try workshop.write(try program("net", weights).files)
            try workshop.expect(["gcc", "-std=c99", "-I.", "-c", "-o", "plain.o", "net.c"])
            try workshop.expect(["gcc", "-std=c99", "-I.", definition, "-c", "-o", "placed.o", "net.c"])
            #expect(try !workshop.expect(["objdump", "-h", "plain.o"]).contains(".slow"))
            #expect(try workshop.expect(["objdump", "-h", "placed.o"]).contains(".slow"))
            try workshop.expect([
                "gcc", "-std=c99", "-I.", "-DMARTLET_ARENA_ATTRIBUTE=__attribute__((section(\".fast\")))", "-c", "-o",
                "main.o", "main.c",
            ])
            #expect(try workshop.expect(["objdump", "-h", "main.o"]).contains(".fast"))
        }
    }

    /// A compiler that cannot include a binary file gets C text of it from the Makefile, and computes the same.
    @Test func embeddedWeightsFallBackToText() throws {
        let workshop = try Workshop()
        try workshop.write(try program("net", .embed).files)
        let binary = try workshop.expect(["make", "-s", "check"])
        #expect(throws: (any Error).self) { try workshop.read("net_weights.inc") }
        let symbols = try workshop.expect(["nm", "check-net"])
        #expect(symbols.contains("net_weights"))

        try workshop.expect(["make", "-s", "clean"])
        let flags = "CFLAGS=-std=c99 -Wall -Wextra -Wpedantic -Werror -DMARTLET_WEIGHTS_TEXT"
        let text = try workshop.expect(["make", "-s", "check", flags])
        #expect(text == binary)
        let made = String(decoding: try workshop.read("net_weights.inc"), as: UTF8.self)
        let bytes = try workshop.read("net_weights.bin")
        let written = try #require(CProgram.weightsText(for: "net_weights.bin", contents: bytes))
        #expect(written.name == "net_weights.inc")
        #expect(made.split(whereSeparator: \.isWhitespace).joined() == written.text.filter { !$0.isWhitespace })
        // Without assembler there is nothing for it to include.
        try workshop.expect(["make", "-s", "clean"])
        try workshop.write([written])
        let source = try workshop.expect(["gcc", "-DMARTLET_WEIGHTS_TEXT", "-I.", "-S", "-o", "-", "net.c"])
        #expect(!source.contains("incbin"))
    }
}
