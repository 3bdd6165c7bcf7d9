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
    /// Whether no step reads what another writes.
    var independent = false

    /// The code of what the emitter wrote. Results without padding whose last vector would not fit are copied.
    func code(_ emitter: LayerEmitter) -> NodeCode {
        let head =
            (weights.map { "const float *const W = x\($0);\n" } ?? "const float *const W = 0;\n") + "(void)W;\n"
        let shares = emitter.shares.count
        func whole(_ floats: Int) -> Int { (floats + 15) / 16 * 16 }
        // Memory that all shares see comes first, then that of each.
        let common = whole(emitter.steps.map(\.commonScratch).max() ?? 0)
        let own = whole(emitter.steps.map(\.scratch).max() ?? 0)
        var scratch = common + own * shares
        var phases: [(kind: NodeCode.Phase, text: String)] = []
        for (index, step) in emitter.steps.enumerated() {
            var text = ""
            var copies = ""
            for (name, operand) in step.parameters {
                switch operand {
                case .tensor(let tensor):
                    text += "    const float *const \(name) = \(address(tensor, emitter));\n"
                case .output(let tensor):
                    let shape = emitter.program.tensors[tensor]
                    let vectors = emitter.unit.vectors(shape.channels) * emitter.unit.lanes
                    if shape.pixelStride == shape.channels && shape.channels % emitter.unit.lanes != 0 {
                        let at = whole(scratch)
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
            if step.commonScratch > 0 { text += "    float *const common = scratch;\n" }
            if step.scratch > 0 {
                let at = (common > 0 ? " + \(common)" : "") + (shares > 1 ? " + part * \(own)" : "")
                text += "    float *const t = \(at.isEmpty ? "scratch" : "(float *)scratch" + at);\n"
            }
            for line in step.setup { text += "    \(line)\n" }
            var pieces: [(kind: NodeCode.Phase, text: String)] = [(.shared, "")]
            for line in step.body {
                switch line {
                case ProgramStep.barrier: pieces.append((.shared, ""))
                case ProgramStep.aloneBarrier: pieces.append((.alone, ""))
                default: pieces[pieces.count - 1].text += "    \(line)\n"
                }
            }
            if !copies.isEmpty { pieces.append((.alone, copies)) }
            if shares == 1 {
                phases.append((.shared, "{\n" + text + pieces.map(\.text).joined() + "}\n"))
                continue
            }
            // Every phase declares what it needs; what it does not is no reason to warn.
            let names =
                step.parameters.map(\.name) + (step.commonScratch > 0 ? ["common"] : [])
                + (step.scratch > 0 ? ["t"] : [])
            let unused = names.map { "    (void)\($0);\n" }.joined()
            for (i, piece) in pieces.enumerated() {
                let block = "{\n" + text + unused + piece.text + "}\n"
                if i == 0, index > 0, independent, phases.last?.kind == .shared,
                    step.commonScratch == 0, emitter.steps[index - 1].commonScratch == 0
                {
                    phases[phases.count - 1].text += block
                } else {
                    phases.append((piece.kind, block))
                }
            }
        }
        var packed: [Int: Literal?] = [:]
        for operand in dropped { packed[operand] = .some(nil) }
        if let weights { packed[weights] = Literal(emitter.blob.floats) }
        let lanes = emitter.unit.lanes
        var support = [NodeCode.Fragment("vector\(lanes)", VectorPrelude.text(lanes))]
        for kernel in emitter.library.kernels { support.append(NodeCode.Fragment(kernel.name, kernel.source)) }
        let text =
            shares == 1 || phases.count == 1
            ? phases.map(\.text).joined()
            : phases.enumerated().map { "if (phase == \($0)) {\n\($1.text)}\n" }.joined()
        return NodeCode(
            CBody(head + text, scratchBytes: scratch * 4), packed: packed, support: support, shares: shares,
            phases: shares == 1 ? [.shared] : phases.map(\.kind))
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
