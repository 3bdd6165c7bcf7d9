import IR

extension CWriter {
    /// `bench_main.c`: times single runs; its last line is a JSON object.
    func benchmark() -> String {
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
}
