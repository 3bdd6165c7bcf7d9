import IR

/// Turns the steps of a small layer program into the code of one node.
struct LayerCode {
    /// Where a tensor of the program is: an operand or a result of the node.
    enum Place: Hashable {
        case operand(Int)
        case result(Int)
    }

    var places: [Int: Place] = [:]
    /// The operand that the packed weights take the place of, and those that need no memory any more.
    var weights: Int?
    var dropped: [Int] = []

    /// The code of what the emitter wrote. Results without padding whose last vector would not fit are copied.
    func code(_ emitter: LayerEmitter) -> NodeCode {
        var text = weights.map { "const float *const W = x\($0);\n" } ?? "const float *const W = 0;\n"
        var scratch = emitter.steps.map(\.scratch).max() ?? 0
        text += "(void)W;\n"
        for step in emitter.steps {
            text += "{\n"
            var copies = ""
            for (name, operand) in step.parameters {
                switch operand {
                case .tensor(let tensor):
                    text += "    const float *const \(name) = \(address(tensor, emitter));\n"
                case .output(let tensor):
                    let shape = emitter.program.tensors[tensor]
                    let vectors = emitter.unit.vectors(shape.channels) * emitter.unit.lanes
                    if shape.pixelStride == shape.channels && shape.channels % emitter.unit.lanes != 0 {
                        let at = (scratch + 15) / 16 * 16
                        scratch = at + shape.pixels * vectors
                        text += "    float *const \(name) = (float *)scratch + \(at);\n"
                        let result = address(tensor, emitter)
                        copies +=
                            shape.pixels == 1
                            ? "    memcpy(\(result), \(name), \(shape.channels * 4));\n"
                            : "    for (long i = 0; i < \(shape.pixels); ++i) "
                                + "memcpy(\(result) + i * \(shape.channels), \(name) + i * \(vectors), \(shape.channels * 4));\n"
                    } else {
                        text += "    float *const \(name) = \(address(tensor, emitter));\n"
                    }
                }
            }
            if step.scratch > 0 { text += "    float *const t = scratch;\n" }
            for line in step.body { text += "    \(line)\n" }
            text += copies + "}\n"
        }
        var packed: [Int: Literal?] = [:]
        for operand in dropped { packed[operand] = .some(nil) }
        if let weights { packed[weights] = Literal(emitter.blob.floats) }
        let lanes = emitter.unit.lanes
        var support = [NodeCode.Fragment("vector\(lanes)", VectorPrelude.text(lanes))]
        for kernel in emitter.library.kernels { support.append(NodeCode.Fragment(kernel.name, kernel.source)) }
        return NodeCode(CBody(text, scratchBytes: scratch * 4), packed: packed, support: support)
    }

    private func address(_ tensor: Int, _ emitter: LayerEmitter) -> String {
        var offset = 0, root = tensor
        while let parent = emitter.program.tensors[root].parent {
            offset += emitter.program.tensors[root].offset
            root = parent
        }
        guard let place = places[root] else {
            preconditionFailure("a step's tensor is neither an operand nor a result")
        }
        let base =
            switch place {
            case .operand(let i): "x\(i)";
            case .result(let i): "y\(i)"
            }
        return offset == 0 ? base : "\(base) + \(offset)"
    }
}

/// The vector types and functions that the kernels are written in.
enum VectorPrelude {
    static func text(_ lanes: Int) -> String {
        "#define VL \(lanes)\n" + String(decoding: PackageResources.vector_h, as: UTF8.self)
    }
}
