/// A generated C program as plain values: its files, and what a caller of `NAME_run` must know.
///
/// The header declares `NAME_inputs`, `NAME_outputs` (structures of pointers), `NAME_ARENA_SIZE`,
/// `NAME_ARENA_ALIGN` and `int NAME_run(const NAME_inputs *, const NAME_outputs *, void *arena)`.
public struct SourceProgram: Hashable, Sendable {
    /// A file of the program; `.c` and `.S` files are compiled, the others lie beside them.
    public struct File: Hashable, Sendable {
        public var name: String
        public var contents: [UInt8]

        public init(name: String, contents: [UInt8]) {
            self.name = name
            self.contents = contents
        }

        public init(name: String, text: String) {
            self.init(name: name, contents: Array(text.utf8))
        }

        var isCompiled: Bool { name.hasSuffix(".c") || name.hasSuffix(".S") }
    }

    /// An input or output: a field of its structure, pointing at `count` values of a C type.
    public struct Port: Hashable, Sendable {
        public var field: String
        /// A C type: `float`, `double`, `int8_t`, `uint16_t`, `bool`…
        public var type: String
        public var count: Int
        /// Bytes of one value.
        public var width: Int

        public init(field: String, type: String, count: Int, width: Int) {
            self.field = field
            self.type = type
            self.count = count
            self.width = width
        }

        public var bytes: Int { count * width }
    }

    /// The prefix of everything that the header declares.
    public var name: String
    public var header: String
    public var files: [File]
    public var inputs: [Port]
    public var outputs: [Port]
    /// Compiler flags beyond the target's.
    public var flags: [String]
    /// Shares of its steps; more than one are run by the pool of `martlet_pool.h`, which is then among the files.
    public var threads: Int

    public init(
        name: String, header: String, files: [File], inputs: [Port], outputs: [Port], flags: [String] = [],
        threads: Int = 1
    ) {
        self.name = name
        self.header = header
        self.files = files
        self.inputs = inputs
        self.outputs = outputs
        self.flags = flags
        self.threads = threads
    }

    /// Names the program by its contents.
    public var fingerprint: Fingerprint {
        var print = Fingerprint()
        print.add([name, header])
        print.add(flags)
        for port in inputs + outputs { print.add([port.field, port.type, "\(port.count)"]) }
        for file in files.sorted(by: { $0.name < $1.name }) {
            print.add(file.name)
            print.add(file.contents)
        }
        return print
    }
}

/// The main program that is compiled with a generated program.
public enum Harness: String, Hashable, Sendable {
    /// Times it and prints one JSON line.
    case bench
    /// Runs it once on the inputs of a file.
    case run

    var source: SourceProgram.File {
        switch self {
        case .bench: SourceProgram.File(name: "martlet_main.c", contents: PackageResources.bench_main_c)
        case .run: SourceProgram.File(name: "martlet_main.c", contents: PackageResources.run_main_c)
        }
    }

    /// The buffers and the call of one program, for the harness to include.
    static func header(for program: SourceProgram) -> SourceProgram.File {
        func fields(_ ports: [SourceProgram.Port], _ prefix: String) -> String {
            ports.enumerated().map { "    .\($1.field) = \(prefix)_\($0),\n" }.joined()
        }
        func buffers(_ ports: [SourceProgram.Port], _ prefix: String) -> String {
            ports.enumerated().map { index, port in
                "static \(port.type) \(prefix)_\(index)[\(max(port.count, 1))] __attribute__((aligned(64)));\n"
            }.joined()
        }
        func table(_ ports: [SourceProgram.Port], _ prefix: String, _ name: String) -> String {
            let rows = ports.enumerated().map { index, port in
                "    {\(prefix)_\(index), \(port.bytes)u, \(kind(port.type))},\n"
            }.joined()
            return "static const struct program_port \(name)[] = {\n\(rows)    {0, 0, 0}};\n"
        }
        let text = """
            /* The buffers of the program '\(program.name)' and how to call it. */
            #include <stdbool.h>
            #include <stddef.h>
            #include <stdint.h>
            #include "\(program.header)"
            #define PROGRAM_NAME "\(program.name)"
            enum { PROGRAM_INPUTS = \(program.inputs.count), PROGRAM_OUTPUTS = \(program.outputs.count) };
            struct program_port {
                void *data;
                size_t bytes;
                char kind;
            };
            static unsigned char program_arena[\(program.name)_ARENA_SIZE + 1]
                __attribute__((aligned(\(program.name)_ARENA_ALIGN)));
            \(buffers(program.inputs, "program_in"))\(buffers(program.outputs, "program_out"))
            \(table(program.inputs, "program_in", "program_inputs"))
            \(table(program.outputs, "program_out", "program_outputs"))
            \(pool(program))static const \(program.name)_inputs program_in = {
            \(fields(program.inputs, "program_in"))\(program.threads > 1 ? "    .parallel = &program_parallel,\n" : "")};
            static const \(program.name)_outputs program_out = {
            \(fields(program.outputs, "program_out"))};

            static inline int program_run(void) {
                return \(program.name)_run(&program_in, &program_out, program_arena);
            }

            /* Reals between -1 and 1; integers stay zero, since some are indices. */
            static inline void program_fill_inputs(void) {
                uint32_t state = 2463534242u;
                for (int i = 0; i < PROGRAM_INPUTS; i++) {
                    char kind = program_inputs[i].kind;
                    size_t width = kind == 'd' ? sizeof(double) : sizeof(float);
                    if (kind != 'f' && kind != 'd') continue;
                    for (size_t j = 0; j < program_inputs[i].bytes / width; j++) {
                        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
                        float value = (float)(state >> 8) / 8388608.0f - 1.0f;
                        if (kind == 'd') ((double *)program_inputs[i].data)[j] = value;
                        else ((float *)program_inputs[i].data)[j] = value;
                    }
                }
                (void)program_outputs;
            }

            """
        return SourceProgram.File(name: "martlet_program.h", text: text)
    }

    /// The threads that share the steps, and `program_start`, which both harnesses call first.
    private static func pool(_ program: SourceProgram) -> String {
        guard program.threads > 1 else { return "static inline int program_start(void) { return 0; }\n" }
        return """
            #include "martlet_pool.h"
            static martlet_pool program_pool;
            static const \(program.name)_parallel program_parallel = {martlet_pool_run, &program_pool};
            static inline int program_start(void) { return martlet_pool_start(&program_pool, \(program.threads)); }

            """
    }

    private static func kind(_ type: String) -> String {
        switch type {
        case "float": "'f'"
        case "double": "'d'"
        default: "'i'"
        }
    }
}
