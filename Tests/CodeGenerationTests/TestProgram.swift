import CodeGeneration
import IR

/// A program with inputs and the outputs that it should give.
struct TestProgram {
    var name: String
    var program: CProgram
    var test: TestVector

    /// The outputs of programs that are linked into one executable; their names must differ.
    static func run(_ cases: [TestProgram], compiler: [String]) throws -> [[Literal]] {
        let workshop = try Workshop()
        for item in cases { try workshop.write(item.program.sources) }
        try workshop.write("driver.c", driver(cases))
        try workshop.write([CProgram.File("inputs.bin", contents: cases.flatMap { $0.test.inputs.flatMap(\.bytes) })])
        let sources = cases.map { $0.program.name + ".c" }
        try workshop.expect(compiler + Workshop.strict + ["-I.", "-o", "driver", "driver.c"] + sources + ["-lm"])
        try workshop.expect(["./driver"])
        let outputs = try workshop.read("outputs.bin")
        var position = 0
        let found = try cases.map { item in
            try item.test.outputs.map { expected in
                let end = position + expected.bytes.count
                guard end <= outputs.count else { throw ExportError(.invalid, "the driver wrote too little") }
                defer { position = end }
                return Literal(expected.element, expected.shape, bytes: Array(outputs[position..<end]))
            }
        }
        guard position == outputs.count else { throw ExportError(.invalid, "the driver wrote too much") }
        return found
    }

    /// A main program that runs every network on its share of `inputs.bin`, each arena ending in canaries.
    private static func driver(_ cases: [TestProgram]) -> String {
        var text = cases.map { "#include \"\($0.program.header)\"\n" }.joined()
        text += "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
        for item in cases {
            let p = item.program
            text += """

                static int run_\(p.name)(FILE *in, FILE *out)
                {
                    const size_t size = \(p.name)_ARENA_SIZE;
                    unsigned char *memory = malloc(size + 256), *arena = memory;
                    \(p.name)_inputs i;
                    \(p.name)_outputs o;
                    int bad = 0;
                    memset(&i, 0, sizeof i);
                    memset(&o, 0, sizeof o);
                    if (!memory) return 1;
                    memset(memory, 0xa5, size + 256);
                    while ((uintptr_t)arena % \(p.name)_ARENA_ALIGN) arena++;

                """
            for (index, port) in p.inputs.enumerated() {
                let bytes = port.type.byteCount
                text += "    void *in\(index) = malloc(\(bytes + 1));\n    i.\(port.field) = in\(index);\n"
                text += "    if (!in\(index) || fread(in\(index), 1, \(bytes), in) != \(bytes)) bad = 1;\n"
            }
            for (index, port) in p.outputs.enumerated() {
                text +=
                    "    void *out\(index) = malloc(\(port.type.byteCount + 1));\n    o.\(port.field) = out\(index);\n"
            }
            text += "    if (bad || \(p.name)_run(&i, &o, arena)) return 2;\n"
            text += "    for (size_t k = size; k < size + 128; k++) if (arena[k] != 0xa5) return 3;\n"
            for (index, port) in p.outputs.enumerated() {
                text += "    fwrite(out\(index), 1, \(port.type.byteCount), out);\n    free(out\(index));\n"
            }
            for index in p.inputs.indices { text += "    free(in\(index));\n" }
            text += "    free(memory);\n    return 0;\n}\n"
        }
        text +=
            "\nint main(void)\n{\n    FILE *in = fopen(\"inputs.bin\", \"rb\"), *out = fopen(\"outputs.bin\", \"wb\");\n    int status;\n"
        text += "    if (!in || !out) return 1;\n"
        for item in cases {
            text += "    status = run_\(item.program.name)(in, out);\n"
            text += "    if (status) { fprintf(stderr, \"%s: %d\\n\", \"\(item.program.name)\", status); return 1; }\n"
        }
        return text + "    fclose(in);\n    return fclose(out);\n}\n"
    }
}
