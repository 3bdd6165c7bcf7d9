import IR

extension CWriter {
    /// What tries the program out: a self-check, a benchmark, a Makefile.
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
    private func buffers() -> String {
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

    private func arguments() -> String {
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
    private func poolDefinition() -> String {
        guard threads > 1 else { return "" }
        return """
            #ifndef MARTLET_NO_THREADS
            #include "martlet_pool.h"
            static martlet_pool pool;
            static const \(name)_parallel parallel = {martlet_pool_run, &pool};
            #endif


            """
    }

    private func poolStart() -> String {
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

    private func ports(_ ports: [CProgram.Port], _ buffer: String) -> String {
        ports.enumerated().map { index, port in
            "    {\(port.name.cLiteral), \(buffer)_\(index), \(port.type.count), \(port.type.element.size), '\(kind(port.type.element))', \(tolerance(port.type.element))},\n"
        }.joined()
    }

    private func kind(_ element: ElementType) -> String {
        switch element {
        case .f64: "d"
        case .f32: "f"
        case .f16: "h"
        case .bf16: "b"
        default: "i"
        }
    }

    /// The difference that rounding may make, relative to the largest expected value: some 16 roundings of the type, and
    /// at least what sums of thousands of terms in another order differ by.
    private func tolerance(_ element: ElementType) -> String {
        switch element {
        case .f64: "1e-9"
        case .f32: "1e-4"
        case .f16: "1e-2"
        case .bf16: "8e-2"
        default: "0"
        }
    }

    /// `main.c`: runs the test vector and compares.
    private func selfCheck() -> String {
        """
        /* Runs \(name) on the inputs of a test vector and compares its outputs with the expected ones.
         * Usage: check [\(name)_test.bin]. Returns 0 when all outputs agree. */
        #include "\(name).h"

        #include <math.h>
        #include <stdio.h>
        #include <string.h>

        struct port {
            const char *name;
            void *data;
            size_t count, width;
            char kind; /* d, f: double, float; h, b: half, bfloat16; i: integer or boolean */
            double tolerance; /* relative to the largest expected value */
        };

        \(buffers())static const struct port input_ports[] = {
        \(ports(inputs, "input"))    {0, 0, 0, 0, 0, 0}};
        static const struct port output_ports[] = {
        \(ports(outputs, "output"))    {0, 0, 0, 0, 0, 0}};
        \(poolDefinition())\(outputs.indices.map { "static unsigned char expected_\($0)[sizeof output_\($0)];\n" }.joined())static void *const expected[] = {\(outputs.indices.map { "expected_\($0), " }.joined())0};

        static double element(const unsigned char *data, char kind, size_t index)
        {
            double d;
            float f;
            uint16_t h;
            int exponent;
            switch (kind) {
            case 'd': memcpy(&d, data + 8 * index, 8); return d;
            case 'f': memcpy(&f, data + 4 * index, 4); return f;
            default: memcpy(&h, data + 2 * index, 2); break;
            }
            if (kind == 'b') {
                const uint32_t bits = (uint32_t)h << 16;
                memcpy(&f, &bits, 4);
                return f;
            }
            exponent = h >> 10 & 31;
            d = exponent == 31 ? ((h & 1023) ? (double)NAN : HUGE_VAL)
                : exponent ? ldexp(1024 + (h & 1023), exponent - 25) : ldexp(h & 1023, -24);
            return h & 0x8000 ? -d : d;
        }

        static int agrees(const struct port *port, const unsigned char *wanted)
        {
            double largest = 0, worst = 0;
            size_t different = 0;
            if (port->kind == 'i') {
                for (size_t i = 0; i < port->count; i++)
                    different += memcmp((unsigned char *)port->data + i * port->width, wanted + i * port->width, port->width) != 0;
                printf("%s: %lu of %lu integers differ\\n", port->name, (unsigned long)different, (unsigned long)port->count);
                return different == 0;
            }
            for (size_t i = 0; i < port->count; i++) {
                const double e = element(wanted, port->kind, i), f = element(port->data, port->kind, i);
                if (e == f || (e != e && f != f)) {
                    if (fabs(e) > largest && fabs(e) < HUGE_VAL) largest = fabs(e);
                    continue;
                }
                if (!(fabs(e - f) < HUGE_VAL)) different++;
                else if (fabs(e - f) > worst) worst = fabs(e - f);
                if (fabs(e) > largest && fabs(e) < HUGE_VAL) largest = fabs(e);
            }
            printf("%s: largest difference %g, largest value %g\\n", port->name, worst, largest);
            return different == 0 && worst <= port->tolerance * largest + 1e-30;
        }

        int main(int argc, char **argv)
        {
            const char *const path = argc > 1 ? argv[1] : "\(name)_test.bin";
            FILE *const test = fopen(path, "rb");
            int failures = 0, status;
        \(arguments())    if (!test) {
                fprintf(stderr, "%s: cannot be opened\\n", path);
                return 2;
            }
            for (const struct port *p = input_ports; p->name; p++)
                if (fread(p->data, p->width, p->count, test) != p->count) status = 2, failures++;
            for (size_t i = 0; output_ports[i].name; i++)
                if (fread(expected[i], output_ports[i].width, output_ports[i].count, test) != output_ports[i].count) failures++;
            fclose(test);
            if (failures) {
                fprintf(stderr, "%s: too short for this network\\n", path);
                return 2;
            }
            status = \(name)_run(&in, &out, arena);
            if (status) {
                fprintf(stderr, "\(name)_run returned %d\\n", status);
                return 2;
            }
            for (size_t i = 0; output_ports[i].name; i++) failures += !agrees(&output_ports[i], expected[i]);
        \(poolCheck())    puts(failures ? "FAILED" : "ok");
            return failures != 0;
        }

        """
    }

    /// Runs a second time on the pool: the outputs should be the same bits.
    private func poolCheck() -> String {
        guard threads > 1 else { return "" }
        return """
            #ifndef MARTLET_NO_THREADS
                for (size_t i = 0; output_ports[i].name; i++)
                    memcpy(expected[i], output_ports[i].data, output_ports[i].count * output_ports[i].width);
            \(poolStart())    status = \(name)_run(&in, &out, arena);
                martlet_pool_stop(&pool);
                for (size_t i = 0; output_ports[i].name; i++)
                    if (status || memcmp(expected[i], output_ports[i].data, output_ports[i].count * output_ports[i].width)) {
                        printf("%s: differs on %d threads\\n", output_ports[i].name, \(name)_THREADS);
                        failures++;
                    }
            #endif

            """
    }

    /// `bench_main.c`: times single runs; its last line is a JSON object.
    private func benchmark() -> String {
        let fills = inputs.enumerated().filter { $1.type.count > 0 }.map { index, port in
            let value =
                switch port.type.element {
                case .f32, .f64: "next(&state) / 2147483648.0 - 1.0"
                case .f16: "(double)(0x3000 + (next(&state) & 0x3ff))"
                case .bf16: "(double)(0x3e00 + (next(&state) & 0x7f))"
                default: "0.0"
                }
            return
                "    for (size_t i = 0; i < \(port.type.count); i++) input_\(index)[i] = (\(port.type.element.cType))(\(value));\n"
        }.joined()
        let profile =
            !options.profile
            ? ""
            : """
            /* The least of all runs: sums would count every interruption. */
            static double step_start, step_least[\(steps.count + 1)];

            static void begin_step(void *context, int step)
            {
                (void)context;
                (void)step;
                step_start = now();
            }

            static void end_step(void *context, int step)
            {
                const double took = now() - step_start;
                (void)context;
                if (step_least[step] == 0 || took < step_least[step]) step_least[step] = took;
            }


            """
        return """
            /* Times single runs of \(name) on fixed pseudo-random input.
             * Usage: bench [seconds]. The last line is a JSON object. */
            #define _POSIX_C_SOURCE 199309L
            #include "\(name).h"

            #include <stdio.h>
            #include <stdlib.h>
            #include <string.h>
            #include <time.h>

            enum { WARM_UP = 3, MOST_RUNS = 100000 };

            \(buffers())static double times[MOST_RUNS];

            static double now(void)
            {
                struct timespec t;
                clock_gettime(CLOCK_MONOTONIC, &t);
                return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
            }

            static int ascending(const void *a, const void *b)
            {
                const double x = *(const double *)a, y = *(const double *)b;
                return (x > y) - (x < y);
            }
            \(inputs.contains { $0.type.element.isFloatingPoint } ? """

                static uint32_t next(uint32_t *state)
                {
                    *state ^= *state << 13;
                    *state ^= *state >> 17;
                    *state ^= *state << 5;
                    return *state;
                }

                """ : "")
            \(poolDefinition())\(profile)int main(int argc, char **argv)
            {
                const double budget = 1e3 * (argc > 1 ? atof(argv[1]) : 1.0);
                uint32_t state = 2463534242u;
                double start;
                int runs = 0;
            \(options.profile ? "    \(name)_hooks hooks;\n" : "")\(arguments())\(fills)\(poolStart())    (void)state;
            \(options.profile ? "    memset(&hooks, 0, sizeof hooks);\n" : "")    for (int i = 0; i < WARM_UP; i++) {
                    const int status = \(name)_run(&in, &out, arena);
                    if (status) {
                        fprintf(stderr, "\(name)_run returned %d\\n", status);
                        return 2;
                    }
                }
            \(options.profile ? "    hooks.begin = begin_step;\n    hooks.end = end_step;\n    in.hooks = &hooks;\n" : "")    start = now();
                while (runs < MOST_RUNS && (runs < 5 || now() - start < budget)) {
                    const double before = now();
                    \(name)_run(&in, &out, arena);
                    times[runs++] = now() - before;
                }
                qsort(times, (size_t)runs, sizeof times[0], ascending);
            \(options.profile ? """
                    for (int i = 0; \(name)_step(i); i++)
                        printf("{\\"step\\": %d, \\"ms\\": %.6f}\\n", i, step_least[i]);

                """ : "")    printf("{\\"min_ms\\": %.6f, \\"median_ms\\": %.6f, \\"p95_ms\\": %.6f, \\"runs\\": %d}\\n", times[0], times[runs / 2],
                    times[(int)(0.95 * (runs - 1))], runs);
                return 0;
            }

            """
    }

    /// `dump_main.c`: writes every value that a step makes to a file.
    private func dumper() -> String {
        """
        /* Runs \(name) and writes the results of every step, in order, as they lie in memory.
         * Usage: dump INPUTS VALUES. */
        #include "\(name).h"

        #include <stdio.h>
        #include <string.h>

        \(buffers())static void write_value(void *file, int step, int result, const void *data, size_t size)
        {
            (void)step;
            (void)result;
            if (fwrite(data, 1, size, file) != size) perror("dump");
        }

        int main(int argc, char **argv)
        {
            FILE *const file = fopen(argc > 2 ? argv[1] : "inputs.bin", "rb");
            \(name)_hooks hooks;
            int status;
        \(arguments())    if (!file) {
                fprintf(stderr, "the inputs cannot be opened\\n");
                return 2;
            }
        \(inputs.enumerated().filter { $1.type.count > 0 }.map { "    if (fread(input_\($0.offset), sizeof input_\($0.offset), 1, file) != 1) return 2;\n" }.joined())    fclose(file);
            memset(&hooks, 0, sizeof hooks);
            hooks.context = fopen(argc > 2 ? argv[2] : "values.bin", "wb");
            if (!hooks.context) {
                fprintf(stderr, "the values cannot be written\\n");
                return 2;
            }
            hooks.value = write_value;
            in.hooks = &hooks;
            status = \(name)_run(&in, &out, arena);
            if (status) fprintf(stderr, "\(name)_run returned %d\\n", status);
            return fclose(hooks.context) || status;
        }

        """
    }

    private func makefile() -> String {
        let blob = options.weights != .c && !weights.blob.isEmpty ? " \(name)_weights.bin" : ""
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

            .PHONY: all \(tests)bench clean
            all: \(name).o

            \(name).o: \(name).c \(name).h\(blob)
            \t$(CC) $(CFLAGS) -I. -c -o $@ \(name).c

            \(check)# Times single runs; the last line is a JSON object.
            bench: bench-\(name)
            \t./bench-\(name)

            bench-\(name): bench_main.c \(name).c \(name).h\(blob)
            \t$(CC) $(CFLAGS) -I. -o $@ bench_main.c \(name).c -lm

            clean:
            \trm -f \(name).o check-\(name) bench-\(name)

            """
    }
}
