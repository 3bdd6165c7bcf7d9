import IR

extension CWriter {
    /// Whether the caller passes the weights.
    var takesWeights: Bool { options.weights == .file && !weights.blob.isEmpty }
    var hasHooks: Bool { options.profile || options.dump }

    /// `NAME.h`: what a caller needs, for C99 and C++.
    func header() -> String {
        var text = """
            /* \(name): a network as a function. Made by martlet; changes are lost when it is made again.
             *
             * \(name)_run allocates nothing, does no input or output and keeps no state: every call works in the arena it is
             * given, so that calls with different arenas may run at the same time. */
            #ifndef \(name)_H
            #define \(name)_H

            #include <stddef.h>
            #include <stdint.h>

            #ifdef __cplusplus
            extern "C" {
            #endif

            /* Bytes of working memory that a run needs, and the alignment of their address. */
            #define \(name)_ARENA_SIZE \(max(storage.arenaBytes, 1))
            #define \(name)_ARENA_ALIGN \(CStorage.alignment)

            #define \(name)_INPUT_COUNT \(inputs.count)
            #define \(name)_OUTPUT_COUNT \(outputs.count)

            """
        for (index, port) in inputs.enumerated() { text += describe("Input", "IN", index, port) }
        for (index, port) in outputs.enumerated() { text += describe("Output", "OUT", index, port) }
        if options.weights == .file {
            text += "\n/* The file of the weights: its size, and the 64-bit FNV-1a hash of its bytes. */\n"
            text += "#define \(name)_WEIGHTS_SIZE \(weights.blob.count)\n"
            text += "#define \(name)_WEIGHTS_HASH UINT64_C(0x\(String(weights.hash, radix: 16)))\n"
        }
        if hasHooks { text += hooks() }
        if threads > 1 { text += parallel() }
        text += "\n/* Row-major tensors. Nothing may overlap the outputs. */\ntypedef struct {\n"
        for port in inputs { text += "    const \(port.type.element.cType) *\(port.field);\n" }
        if takesWeights {
            text +=
                "    const void *weights; /* the bytes of \(name)_weights.bin, at a multiple of \(CWeights.alignment) */\n"
        }
        if hasHooks { text += "    const \(name)_hooks *hooks; /* or null */\n" }
        if threads > 1 { text += "    const \(name)_parallel *parallel; /* or null: the caller's thread alone */\n" }
        if inputs.isEmpty && !takesWeights && !hasHooks && threads == 1 { text += "    const void *unused;\n" }
        text += "} \(name)_inputs;\n\ntypedef struct {\n"
        for port in outputs { text += "    \(port.type.element.cType) *\(port.field);\n" }
        if outputs.isEmpty { text += "    void *unused;\n" }
        text += "} \(name)_outputs;\n\n"
        text += "/* Returns 0, or 1 for a null pointer, or 2 for an arena that is not aligned. */\n"
        text += "int \(name)_run(const \(name)_inputs *inputs, const \(name)_outputs *outputs, void *arena);\n\n"
        if takesWeights {
            text += "/* Returns 0 when the bytes at `weights` are those that this program was made with. */\n"
            text += "int \(name)_check_weights(const void *weights, size_t size);\n\n"
        }
        if hasHooks {
            text += "/* What a step computes, as `operator name`; null past the last one. */\n"
            text += "const char *\(name)_step(int step);\n\n"
        }
        text += "/* Lines `key: value` about the network and how it was made. */\nconst char *\(name)_info(void);\n\n"
        return text + "#ifdef __cplusplus\n}\n#endif\n\n#endif\n"
    }

    private func describe(_ kind: String, _ macro: String, _ index: Int, _ port: CProgram.Port) -> String {
        let shape = port.type.shape.isEmpty ? "1" : port.type.shape.map(String.init).joined(separator: ", ")
        let prefix = "#define \(name)_\(macro)_\(index)_"
        return """

            /* \(kind) \(index): "\(port.name.inComment)", \(port.type). */
            \(prefix)NAME \(port.name.cLiteral)
            \(prefix)TYPE \(port.type.element.cType)
            \(prefix)RANK \(port.type.rank)
            \(prefix)SHAPE {\(shape)}
            \(prefix)COUNT \(port.type.count)

            """
    }

    /// The hook that hands out the shares of a step.
    private func parallel() -> String {
        """

        /* How the work gets onto threads. Most steps are cut into \(name)_THREADS shares; `run` must call
         * task(argument, part) once for every part from 0 to parts - 1, on any threads and in any order, and return when all
         * calls have returned and what they wrote can be seen. Results are the same for any number of threads.
         * martlet_pool.h has one made of POSIX threads. Runs at the same time need an arena each, and each its own `context`
         * unless `run` may be called by several threads at once. */
        #define \(name)_THREADS \(threads)
        typedef struct {
            void (*run)(void *context, void (*task)(void *argument, int part), void *argument, int parts);
            void *context;
        } \(name)_parallel;

        """
    }

    /// The pool of threads that comes with a program of several shares.
    func pool() -> [CProgram.File] {
        threads > 1 ? [CProgram.File("martlet_pool.h", contents: PackageResources.pool_h)] : []
    }

    private func hooks() -> String {
        var text =
            "\n/* Functions of the caller that a run calls; each may be null. */\ntypedef struct {\n    void *context;\n"
        if options.profile {
            text += "    void (*begin)(void *context, int step);\n    void (*end)(void *context, int step);\n"
        }
        if options.dump {
            text += "    void (*value)(void *context, int step, int result, const void *data, size_t size);\n"
        }
        return text + "} \(name)_hooks;\n"
    }
}
