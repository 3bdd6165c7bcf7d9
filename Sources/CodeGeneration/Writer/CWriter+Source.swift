import IR

extension CWriter {
    /// `NAME.c`: the weights, one function for each kind of step, and the run.
    func source() -> String {
        var library = functions.libraryFunctions
        if copiesMemory { library.insert("memcpy") }
        let helpers = CHelpers.closure(of: functions.helpers)
        let body = functions.text
        let arrays = options.weights == .c ? weights.arrays() : ""
        let everything = [body, arrays].joined()
        var text =
            "/* \(name): see \(name).h. C99; nothing is allocated, read, written or kept. */\n#include \"\(name).h\"\n\n"
        if !body.isEmpty { text += CHelpers.loopMacro + "\n" }
        let macros = CHelpers.libraryMacros(library)
        if !macros.isEmpty {
            text +=
                "/* Each of these can be replaced by a definition on the compiler's command line. */\n" + macros + "\n"
        }
        if everything.contains("MARTLET_INFINITY") || everything.contains("MARTLET_NAN") {
            text += CHelpers.constantMacros + "\n"
        }
        if !body.isEmpty { text += CHelpers.functionMacro + "\n" }
        text += weightsText(arrays)
        for helper in helpers { text += (CHelpers.all[helper]?.text ?? "") + "\n\n" }
        for fragment in functions.fragments { text += fragment.text + (fragment.text.hasSuffix("\n") ? "\n" : "\n\n") }
        text += body
        if hasHooks { text += stepNames() }
        text += run()
        if takesWeights { text += weightsCheck() }
        text += "const char *\(name)_info(void)\n{\n    return\n"
        text += info().map { "        \(($0 + "\n").cLiteral)\n" }.joined()
        return text + "        ;\n}\n"
    }

    private func weightsText(_ arrays: String) -> String {
        guard !weights.blob.isEmpty else { return "" }
        switch options.weights {
        case .c:
            return """
                \(Self.weightsAttribute)

                \(arrays)

                """
        case .file:
            return "#define WEIGHT(type, offset) ((const type *)(const void *)(weights + (offset)))\n\n"
        case .embed:
            return """
                /* The weights. GNU's assembler includes the binary file, found like an included file; where the compiler has none,
                   C text of the same bytes stands in, which the Makefile makes. */
                #if \(CProgram.assemblesWeights)
                #ifndef \(name)_WEIGHTS_PATH
                #define \(name)_WEIGHTS_PATH "\(name)_weights.bin"
                #endif
                #ifndef MARTLET_WEIGHTS_SECTION
                #define MARTLET_WEIGHTS_SECTION ".rodata"
                #endif
                __asm__(
                    ".pushsection " MARTLET_WEIGHTS_SECTION ", \\"a\\", %progbits\\n"
                    ".balign \(CWeights.alignment)\\n"
                    ".globl \(name)_weights\\n"
                    ".hidden \(name)_weights\\n"
                    ".type \(name)_weights, %object\\n"
                    ".size \(name)_weights, \(weights.blob.count)\\n"
                    "\(name)_weights:\\n"
                    ".incbin \\"" \(name)_WEIGHTS_PATH "\\"\\n"
                    ".popsection\\n");
                extern const unsigned char \(name)_weights[\(weights.blob.count)]
                    __attribute__((aligned(\(CWeights.alignment)), visibility("hidden")));
                #define WEIGHT(type, offset) ((const type *)(const void *)(\(name)_weights + (offset)))
                #else
                \(Self.weightsAttribute)
                static const union {
                    uint64_t words[\(weights.blob.count / 8)];
                    unsigned char bytes[\(weights.blob.count)];
                } \(name)_weights MARTLET_WEIGHTS_ATTRIBUTE = {{
                #include "\(name)_weights.inc"
                }};
                #define WEIGHT(type, offset) ((const type *)(const void *)(\(name)_weights.bytes + (offset)))
                #endif


                """
        }
    }

    private static let weightsAttribute = """
        /* Such as __attribute__((section(".flash"))). */
        #ifndef MARTLET_WEIGHTS_ATTRIBUTE
        #define MARTLET_WEIGHTS_ATTRIBUTE
        #endif
        """

    private func run() -> String {
        var text = "#define ARENA(type, offset) ((type *)(void *)(arena + (offset)))\n"
        if hasHooks {
            text +=
                "#define MARTLET_HOOK(hook, arguments) if (inputs->hooks && inputs->hooks->hook) inputs->hooks->hook arguments;\n"
        }
        if threads > 1 { text += sharing() }
        text += "\nint \(name)_run(const \(name)_inputs *inputs, const \(name)_outputs *outputs, void *memory)\n{\n"
        if storage.arenaBytes > 0 { text += "    unsigned char *const arena = memory;\n" }
        if takesWeights { text += "    const unsigned char *weights;\n" }
        if threads > 1 { text += "    struct shared_call call;\n" }
        text += "    if (!inputs || !outputs\(storage.arenaBytes > 0 ? " || !memory" : "")) return 1;\n"
        let pointers =
            inputs.map { "!inputs->\($0.field)" } + outputs.map { "!outputs->\($0.field)" }
            + (takesWeights ? ["!inputs->weights"] : [])
        for pointer in pointers { text += "    if (\(pointer)) return 1;\n" }
        if storage.arenaBytes > 0 {
            text += "    if ((uintptr_t)memory % \(name)_ARENA_ALIGN) return 2;\n"
        } else {
            text += "    (void)memory;\n"
        }
        if takesWeights { text += "    weights = inputs->weights;\n" }
        if threads > 1 {
            text += "    call.inputs = inputs;\n    call.outputs = outputs;\n"
            if storage.arenaBytes > 0 { text += "    call.arena = arena;\n" }
            if takesWeights { text += "    call.weights = weights;\n" }
        }
        return text + "\n" + calls + "    return 0;\n}\n\n"
    }

    /// The tasks of all shared steps, and how they are handed out.
    private func sharing() -> String {
        """

        /* What the shares of a step need to know of the run. */
        struct shared_call {
            const \(name)_inputs *inputs;
            const \(name)_outputs *outputs;
            unsigned char *arena;
            const unsigned char *weights;
        };

        static void share(const \(name)_parallel *by, void (*task)(void *, int), void *argument, int parts)
        {
            int part;
            if (by) by->run(by->context, task, argument, parts);
            else for (part = 0; part < parts; ++part) task(argument, part);
        }

        \(tasks)
        """
    }

    private func stepNames() -> String {
        var text = "static const char *const step_names[] = {\n"
        for step in steps { text += "    \((step.mnemonic + (step.name.map { " " + $0 } ?? "")).cLiteral),\n" }
        text += "    0};\n\nconst char *\(name)_step(int step)\n{\n"
        return text + "    return step < 0 || step > \(steps.count) ? 0 : step_names[step];\n}\n\n"
    }

    private func weightsCheck() -> String {
        """
        int \(name)_check_weights(const void *weights, size_t size)
        {
            const unsigned char *bytes = weights;
            uint64_t hash = UINT64_C(0xcbf29ce484222325);
            if (!bytes || size != \(name)_WEIGHTS_SIZE) return 1;
            for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
            return hash != \(name)_WEIGHTS_HASH;
        }


        """
    }

    private func info() -> [String] {
        var lines = ["name: \(graph.name)"]
        for port in inputs { lines.append("input: \(port.name) \(port.type)") }
        for port in outputs { lines.append("output: \(port.name) \(port.type)") }
        lines.append("arena bytes: \(storage.arenaBytes)")
        lines.append("weight bytes: \(weights.blob.count)")
        return lines + options.notes.map { "\($0.key): \($0.value)" }
    }
}
