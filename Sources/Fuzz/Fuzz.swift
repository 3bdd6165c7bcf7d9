import Glibc
import IR
import ONNXFormat
import Operators

// Built by `make fuzz` alone, where libFuzzer has the main function and calls these two.

/// Reads bytes as an ONNX model, and imports what could be read: they are either accepted or refused with a reason.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    do throws(ONNXError) {
        let model = try ONNXModel(bytes: bytes).inliningFunctions()
        var options = ONNXImporter.Options()
        for input in model.requiredInputs {
            guard case .tensor(_, let shape?) = input.type else { continue }
            options.inputShapes[input.name] = shape.map { if case .known(let size) = $0 { size } else { 2 } }
        }
        _ = try ONNXImporter.graph(of: model, options: options)
    } catch {
        precondition(!error.cause.isEmpty, "a refusal without a reason")
    }
    return 0
}

/// Fills an empty corpus, the first folder among the arguments, with what the exporter writes.
@_cdecl("LLVMFuzzerInitialize")
public func fuzzInitialise(
    _ count: UnsafeMutablePointer<CInt>,
    _ words: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>
) -> CInt {
    let arguments = (1..<max(Int(count.pointee), 1)).compactMap { words.pointee?[$0].map { String(cString: $0) } }
    guard let corpus = arguments.first(where: { !$0.hasPrefix("-") }) else { return 0 }
    for (name, bytes) in seeds() {
        guard let file = fopen("\(corpus)/seed-\(name)", "wbx") else { continue }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }
    return 0
}

/// One model for each specimen of an operator that ONNX can express, and one with graphs inside its nodes.
private func seeds() -> [(name: String, bytes: [UInt8])] {
    var seeds: [(String, [UInt8])] = []
    for type in Registry.all {
        for (index, specimen) in type.specimens.enumerated() {
            guard let graph = try? graph(of: specimen), let model = try? ONNXExporter.model(of: graph),
                let bytes = try? model.serialized()
            else { continue }
            seeds.append(("\(type.mnemonic)-\(index)", bytes))
        }
    }
    if let bytes = try? control().serialized() { seeds.append(("control", bytes)) }
    return seeds
}

/// The operator between inputs and outputs; operands that decide shapes are constants.
private func graph(of specimen: Specimen) throws(ShapeError) -> Graph {
    var g = GraphBuilder(name: "specimen")
    let operands = specimen.operands.enumerated().map { index, operand in
        if case .literal(let literal) = operand { return g.constant(literal) }
        return g.input("x\(index)", operand.type)
    }
    let results = try g.appendAll(specimen.op, operands)
    return g.finish(outputs: results)
}

/// A loop that runs three times over a conditional which a constant decides.
private func control() throws(ONNXError) -> ONNXModel {
    func graph(_ name: String, _ inputs: [String], _ nodes: [ONNXModel.Node], _ outputs: [String]) -> ONNXModel.Graph {
        var graph = ONNXModel.Graph(name: name)
        graph.inputs = inputs.map { .init(name: $0, type: .undeclared) }
        graph.nodes = nodes
        graph.outputs = outputs.map { .init(name: $0, type: .undeclared) }
        return graph
    }
    let positive = graph("positive", [], [.init("Relu", inputs: ["v"], outputs: ["p"])], ["p"])
    let negative = graph("negative", [], [.init("Neg", inputs: ["v"], outputs: ["n"])], ["n"])
    let body = graph(
        "body", ["i", "go", "v"],
        [
            .init("Identity", inputs: ["go"], outputs: ["again"]),
            .init(
                "If", inputs: ["yes"], outputs: ["w"],
                attributes: [.init("then_branch", .graph(positive)), .init("else_branch", .graph(negative))]),
        ], ["again", "w", "w"])
    var main = graph(
        "main", [],
        [
            .init(
                "Loop", inputs: ["three", "", "x"], outputs: ["y", "rows"], attributes: [.init("body", .graph(body))])
        ], ["y", "rows"])
    main.inputs = [.init(name: "x", type: .tensor(.float, [.known(2), .symbolic("n")]))]
    main.initializers = [
        .init(name: "three", value: try ONNXTensorValue(.int64, [], [3] as [Int64])),
        .init(name: "yes", value: try ONNXTensorValue(.bool, [], bytes: [1])),
    ]
    return ONNXModel(graph: main)
}
