import IR

extension CWriter {
    /// `main.c`: runs the test vector and compares.
    func selfCheck() -> String {
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
}
