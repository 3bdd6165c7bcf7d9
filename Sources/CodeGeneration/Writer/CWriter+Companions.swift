import IR

extension CWriter {
    /// What tries the program out: a self-check, a benchmark, a dumper of values, a Makefile.
    func companions() throws(ExportError) -> [CProgram.File] {
        var files: [CProgram.File] = []
        if let test = options.test {
            files.append(CProgram.File(name + "_test.bin", contents: try vector(test)))
            files.append(CProgram.File("main.c", selfCheck()))
        }
        files.append(CProgram.File("bench_main.c", benchmark()))
        if options.dump { files.append(CProgram.File("dump_main.c", dumper())) }
        files.append(CProgram.File("Makefile", makefile()))
        return files
    }

    /// Inputs, then expected outputs, each as it lies in memory.
    private func vector(_ test: TestVector) throws(ExportError) -> [UInt8] {
        let ports = inputs + outputs, literals = test.inputs + test.outputs
        guard test.inputs.count == inputs.count, literals.count == ports.count else {
            throw ExportError(
                .invalid,
                "the test vector of \(name) has \(test.inputs.count) inputs and \(test.outputs.count) outputs; the graph has \(inputs.count) and \(outputs.count)"
            )
        }
        var bytes: [UInt8] = []
        for (port, literal) in zip(ports, literals) {
            guard literal.type == port.type.plain else {
                throw ExportError(
                    .invalid,
                    "the test vector of \(name) has \(literal.type) for \"\(port.name)\"; the graph has \(port.type)")
            }
            bytes += literal.bytes
        }
        return bytes
    }

    /// Buffers for everything that a run takes, shared by both programs.
    func buffers() -> String {
        var text = """
            #ifndef MARTLET_ARENA_ATTRIBUTE
            #define MARTLET_ARENA_ATTRIBUTE
            #endif
            static unsigned char arena_memory[\(name)_ARENA_SIZE + \(name)_ARENA_ALIGN] MARTLET_ARENA_ATTRIBUTE;

            """
        for (index, port) in inputs.enumerated() {
            text += "static \(port.type.element.cType) input_\(index)[\(max(port.type.count, 1))];\n"
        }
        for (index, port) in outputs.enumerated() {
            text += "static \(port.type.element.cType) output_\(index)[\(max(port.type.count, 1))];\n"
        }
        if takesWeights { text += "static uint64_t weights[(\(name)_WEIGHTS_SIZE + 7) / 8 + 8];\n" }
        return text + """

            static void *aligned(void *address, size_t alignment)
            {
                const size_t over = (size_t)((uintptr_t)address % alignment);
                return (unsigned char *)address + (over ? alignment - over : 0);
            }


            """
    }

    func arguments() -> String {
        var text =
            "    \(name)_inputs in;\n    \(name)_outputs out;\n    void *const arena = aligned(arena_memory, \(name)_ARENA_ALIGN);\n"
        if takesWeights { text += "    unsigned char *const blob = aligned(weights, \(CWeights.alignment));\n" }
        text += "    memset(&in, 0, sizeof in);\n    memset(&out, 0, sizeof out);\n"
        for (index, port) in inputs.enumerated() { text += "    in.\(port.field) = input_\(index);\n" }
        for (index, port) in outputs.enumerated() { text += "    out.\(port.field) = output_\(index);\n" }
        if takesWeights {
            text += """
                    in.weights = blob;
                    {
                        FILE *const file = fopen("\(name)_weights.bin", "rb");
                        if (!file || fread(blob, 1, \(name)_WEIGHTS_SIZE, file) != \(name)_WEIGHTS_SIZE) {
                            fprintf(stderr, "\(name)_weights.bin: cannot be read\\n");
                            return 2;
                        }
                        fclose(file);
                        if (\(name)_check_weights(blob, \(name)_WEIGHTS_SIZE)) {
                            fprintf(stderr, "\(name)_weights.bin: not the weights of this program\\n");
                            return 2;
                        }
                    }

                """
        }
        return text
    }

    /// The pool behind the buffers, where the program knows threads; `MARTLET_NO_THREADS` leaves it out.
    func poolDefinition() -> String {
        guard threads > 1 else { return "" }
        return """
            #ifndef MARTLET_NO_THREADS
            #include "martlet_pool.h"
            static martlet_pool pool;
            static const \(name)_parallel parallel = {martlet_pool_run, &pool};
            #endif


            """
    }

    func poolStart() -> String {
        guard threads > 1 else { return "" }
        return """
            #ifndef MARTLET_NO_THREADS
                if (martlet_pool_start(&pool, \(name)_THREADS)) {
                    fprintf(stderr, "threads cannot be started\\n");
                    return 2;
                }
                in.parallel = &parallel;
            #endif

            """
    }

    private func makefile() -> String {
        let binary = "\(name)_weights.bin", text = "\(name)_weights.inc"
        var blob = options.weights != .c && !weights.blob.isEmpty ? " " + binary : ""
        let embeds = options.weights == .embed && !blob.isEmpty
        if embeds { blob += " $(WEIGHTS_TEXT)" }
        let tests = options.test == nil ? "" : "check "
        let check =
            options.test == nil
            ? ""
            : "# Runs the network on the test vector and compares.\ncheck: check-\(name)\n\t./check-\(name)\n\n"
                + "check-\(name): main.c \(name).c \(name).h\(blob)\n\t$(CC) $(CFLAGS) -I. -o $@ main.c \(name).c -lm\n\n"
        return """
            # C99; gcc needs to be told that a * b + c may be one instruction.
            CC ?= cc
            CFLAGS ?= -std=c99 -O3 -march=native -ffp-contract=fast -Wall -Wextra -Wpedantic\(threads > 1 ? " -pthread -D_GNU_SOURCE -DMARTLET_POOL_PIN" : "")
            \(embeds ? Self.textWanted(name, text) : "")
            .PHONY: all \(tests)bench clean
            all: \(name).o

            \(name).o: \(name).c \(name).h\(blob)
            \t$(CC) $(CFLAGS) -I. -c -o $@ \(name).c

            \(check)# Times single runs; the last line is a JSON object.
            bench: bench-\(name)
            \t./bench-\(name)

            bench-\(name): bench_main.c \(name).c \(name).h\(blob)
            \t$(CC) $(CFLAGS) -I. -o $@ bench_main.c \(name).c -lm

            \(embeds ? Self.textRule(binary, text) : "")clean:
            \trm -f \(name).o check-\(name) bench-\(name)\(embeds ? " " + text : "")

            """
    }

    /// The preprocessor tells which way the source takes.
    private static func textWanted(_ name: String, _ text: String) -> String {
        """
        # The weights as C text, where the compiler cannot include the binary file.
        WEIGHTS_TEXT := $(shell $(CC) $(CFLAGS) -I. -E \(name).c 2> /dev/null | grep -q incbin || echo \(text))

        """
    }

    private static func textRule(_ binary: String, _ text: String) -> String {
        "\(text): \(binary)\n\tod -A n -v -t x8 \(binary) | sed 's/ *\\([0-9a-f][0-9a-f]*\\)/0x\\1,/g' > $@\n\n"
    }
}
