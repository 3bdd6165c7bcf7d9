import CodeGeneration
import IR
import Operators
import Passes
import TestSupport
import Testing

/// Every specimen of every operator as a program of its own, all of them linked into one executable.
@Suite struct SpecimenTests {
    struct Case {
        var name: String
        var program: CProgram
        var test: TestVector
    }

    @Test(arguments: [
        ["gcc", "-O2"], ["clang", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    ])
    func emittedCodeEqualsTheDefinition(compiler: [String]) throws {
        let cases = try Self.cases()
        #expect(cases.count > 50)
        let workshop = try Workshop()
        for item in cases { try workshop.write(item.program.sources) }
        try workshop.write("driver.c", Self.driver(cases))
        var inputs: [UInt8] = []
        for item in cases { for literal in item.test.inputs { inputs += literal.bytes } }
        try workshop.write([CProgram.File("inputs.bin", contents: inputs)])
        let sources = cases.map { $0.program.name + ".c" }
        try workshop.expect(compiler + Workshop.strict + ["-I.", "-o", "driver", "driver.c"] + sources + ["-lm"])
        try workshop.expect(["./driver"])
        let outputs = try workshop.read("outputs.bin")
        var position = 0
        for item in cases {
            for expected in item.test.outputs {
                guard position + expected.bytes.count <= outputs.count else {
                    throw ExportError(.invalid, "the driver wrote too little")
                }
                let bytes = Array(outputs[position..<(position + expected.bytes.count)])
                position += expected.bytes.count
                let found = Literal(expected.element, expected.shape, bytes: bytes)
                #expect(difference(found, expected) <= tolerance(expected.element), "\(item.name)")
            }
        }
        #expect(position == outputs.count)
    }

    /// A program for each specimen that can be deployed; its expected outputs are the interpreter's.
    static func cases() throws -> [Case] {
        try Specimen.registered.enumerated().compactMap { index, item in
            let specimen = item.specimen
            guard !specimen.op.isTrainingOnly else { return nil }
            var random = RandomSource(seed: 5).fork(item.name)
            let operands: [ReferenceTensor<Float>] = specimen.draw(&random)
            var g = GraphBuilder(name: item.name)
            var inputs: [Literal] = []
            var values: [Value] = []
            for (operand, tensor) in zip(specimen.operands, operands) {
                if case .literal(let literal) = operand {
                    values.append(g.constant(literal))
                } else {
                    values.append(g.input("x\(inputs.count)", tensor.type))
                    inputs.append(tensor.literal)
                }
            }
            let results = try g.appendAll(specimen.op, values)
            let graph = g.finish(outputs: results)
            let outputs = try Interpreter.run(graph, inputs: inputs.map { ReferenceTensor<Float>($0) }).map(\.literal)
            let deployed: Graph
            do { deployed = try Pipeline.deployment().run(graph) } catch {
                // Gradients of gradients and the like are never deployed, and need no C.
                Issue.record("\(item.name): \(error)")
                return nil
            }
            let name = "s\(index)_" + item.name
            return Case(
                name: item.name, program: try CProgram(deployed, options: COptions(name: name)),
                test: TestVector(inputs: inputs, outputs: outputs))
        }
    }

    /// A main program that runs every network on its share of `inputs.bin`, each arena ending in canaries.
    static func driver(_ cases: [Case]) -> String {
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

/// The largest difference, relative to the largest expected value; integers that differ count as infinitely far.
func difference(_ found: Literal, _ expected: Literal) -> Double {
    guard expected.element.isFloatingPoint else { return found.bytes == expected.bytes ? 0 : .infinity }
    var largest = 0.0, worst = 0.0
    for (f, e) in zip(found.reals, expected.reals) {
        if f == e || (f.isNaN && e.isNaN) { continue }
        guard (f - e).isFinite else { return .infinity }
        largest = max(largest, abs(e))
        worst = max(worst, abs(f - e))
    }
    return worst == 0 ? 0 : worst / max(largest, .leastNormalMagnitude)
}

/// Some roundings of the element type: sums here have at most a hundred terms.
func tolerance(_ element: ElementType) -> Double {
    switch element {
    case .f64: 1e-6  // the interpreter computed in single precision
    case .f16: 2e-3
    case .bf16: 2e-2
    default: 2e-6
    }
}
