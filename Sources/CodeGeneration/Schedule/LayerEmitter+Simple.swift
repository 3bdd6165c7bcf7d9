extension LayerEmitter {
    /// Emits pooling, elementwise layers and copies.
    mutating func emitSimple(_ layer: Layer) {
        let x = program.tensors[layer.inputs[0]], y = program.tensors[layer.output]
        let xs = stride(layer.inputs[0]), ys = stride(layer.output)
        let c = unit.vectors(y.channels) * unit.lanes
        let rows = shares.range(y.height), pixels = shares.range(y.pixels)
        var parameters: [(name: String, operand: ProgramStep.Operand)] = [
            ("x", .tensor(layer.inputs[0])), ("y", .output(layer.output)),
        ]
        switch layer.kind {
        case .maximum(let w), .average(let w, _):
            var maximum = false
            var countsPadding = false
            if case .maximum = layer.kind { maximum = true }
            if case .average(_, let counts) = layer.kind { countsPadding = counts }
            let area = (1 / Float(w.size * w.size)).cLiteral
            let body = [
                "for (long i = \(rows.first); i < \(rows.end); ++i) {",
                "    long j0 = i * \(w.stride) - \(w.top), j1 = j0 + \(w.size);",
                "    if (j0 < 0) j0 = 0;",
                "    if (j1 > \(x.height)) j1 = \(x.height);",
                "    for (long q = 0; q < \(y.width); ++q) {",
                "        long p0 = q * \(w.stride) - \(w.left), p1 = p0 + \(w.size);",
                "        if (p0 < 0) p0 = 0;",
                "        if (p1 > \(x.width)) p1 = \(x.width);",
                maximum ? "" : "        float f = \(countsPadding ? area : "1.0f / (float)((j1 - j0) * (p1 - p0))");",
                "        for (long c = 0; c < \(c); c += VL) {",
                "            V a = \(maximum ? "V_LOAD(x + (j0 * \(x.width) + p0) * \(xs) + c)" : "V_ZERO");",
                "            for (long j = j0; j < j1; ++j)",
                "                for (long p = p0; p < p1; ++p)",
                "                    a = \(maximum ? "v_max" : "V_ADD")(a, V_LOAD(x + (j * \(x.width) + p) * \(xs) + c));",
                "            V_STORE(y + (i * \(y.width) + q) * \(ys) + c, \(maximum ? "a" : "V_SCALE(a, f)"));",
                "        }", "    }", "}",
            ].filter { !$0.isEmpty }
            add(layer, maximum ? "maxpool" : "avgpool", parameters: parameters, scratch: 0, body: body)
        case .globalAverage:
            let vectors = c / unit.lanes
            let width = (1...min(8, vectors)).reversed().first { vectors % $0 == 0 } ?? 1
            let group = width * unit.lanes, groups = shares.range(c / group, step: group)
            var body = [
                "for (long c = \(groups.first); c < \(groups.end); c += \(group)) {", "    const float *q = x + c;",
            ]
            body.append("    V " + (0..<width).map { "a\($0) = V_ZERO" }.joined(separator: ", ") + ";")
            body.append("    for (long p = 0; p < \(x.pixels); ++p, q += \(xs)) {")
            for v in 0..<width { body.append("        a\(v) = V_ADD(a\(v), V_LOAD(q + \(v) * VL));") }
            body.append("    }")
            for v in 0..<width {
                body.append("    V_STORE(y + c + \(v) * VL, V_SCALE(a\(v), \((1 / Float(x.pixels)).cLiteral)));")
            }
            body.append("}")
            add(layer, "average", parameters: parameters, scratch: 0, body: body)
        case .elementwise, .scale:
            var value = "V_LOAD(x + p * \(xs) + c)"
            if layer.kind == .scale {
                parameters.append(("s", .tensor(layer.inputs[1])))
                value = "V_MUL(\(value), V_LOAD(s + c))"
            } else if let r = layer.residual ?? layer.inputs.dropFirst().first {
                parameters.append(("r", .tensor(r)))
                value = "V_ADD(\(value), V_LOAD(r + p * \(stride(r)) + c))"
            }
            let body = [
                "for (long p = \(pixels.first); p < \(pixels.end); ++p)",
                "    for (long c = 0; c < \(c); c += VL) V_STORE(y + p * \(ys) + c, \(layer.function(value)));",
            ]
            add(layer, "elementwise", parameters: parameters, scratch: 0, body: body)
        case .concat:
            parameters = [("y", .output(layer.output))]
            var body = ["for (long p = \(pixels.first); p < \(pixels.end); ++p) {"]
            var offset = 0
            for (i, input) in layer.inputs.enumerated() {
                parameters.append(("part\(i)", .tensor(input)))
                let count = program.tensors[input].channels
                body.append(
                    "    memcpy(y + p * \(ys) + \(offset), part\(i) + p * \(stride(input)), \(count) * sizeof(float));")
                offset += count
            }
            body.append("}")
            add(layer, "concat", parameters: parameters, scratch: 0, body: body)
        case .dense, .depthwise: preconditionFailure("convolutions have their own emitters")
        }
    }
}
