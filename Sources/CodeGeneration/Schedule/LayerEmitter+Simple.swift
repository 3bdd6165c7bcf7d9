extension LayerEmitter {
    /// Emits pooling, elementwise layers and copies.
    mutating func emitSimple(_ layer: Layer) {
        let x = program.tensors[layer.inputs[0]], y = program.tensors[layer.output]
        let xs = stride(layer.inputs[0]), ys = stride(layer.output)
        let c = unit.vectors(y.channels) * unit.lanes
        let pixels = shares.range(y.pixels)
        var parameters: [(name: String, operand: ProgramStep.Operand)] = [
            ("x", .tensor(layer.inputs[0])), ("y", .output(layer.output)),
        ]
        switch layer.kind {
        case .maximum(let w):
            add(layer, "maxpool", parameters: parameters, scratch: 0, body: pooling(layer, w, countsPadding: nil))
        case .average(let w, let counts):
            add(layer, "avgpool", parameters: parameters, scratch: 0, body: pooling(layer, w, countsPadding: counts))
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

    /// Averages over windows, or their maxima where `countsPadding` is `nil`.
    private func pooling(_ layer: Layer, _ w: LayerWindow, countsPadding: Bool?) -> [String] {
        let x = program.tensors[layer.inputs[0]], y = program.tensors[layer.output]
        let xs = stride(layer.inputs[0]), ys = stride(layer.output), rows = shares.range(y.height)
        let vectors = unit.vectors(y.channels), width = (1...4).reversed().first { vectors % $0 == 0 } ?? 1
        let maximum = countsPadding == nil
        let start = (0..<width).map { "a\($0) = \(maximum ? "V_LOAD(s + \($0) * VL)" : "V_ZERO")" }
        let step = (0..<width).map { "a\($0) = \(maximum ? "v_max" : "V_ADD")(a\($0), V_LOAD(u + \($0) * VL));" }
        func taps(_ rows: String, _ columns: String) -> [String] {
            [
                "for (long j = 0; j < \(rows); ++j) for (long p = 0; p < \(columns); ++p) {",
                "    const float *u = s + (j * \(x.width) + p) * \(xs);", "    " + step.joined(separator: " "), "}",
            ].map { "                " + $0 }
        }
        var body = [
            "for (long i = \(rows.first); i < \(rows.end); ++i) {",
            "    const long j0 = mt_most(i * \(w.stride) - \(w.top), 0);",
            "    const long nj = mt_least(i * \(w.stride) - \(w.top) + \(w.size), \(x.height)) - j0;",
            "    for (long q = 0; q < \(y.width); ++q) {",
            "        const long p0 = mt_most(q * \(w.stride) - \(w.left), 0);",
            "        const long np = mt_least(q * \(w.stride) - \(w.left) + \(w.size), \(x.width)) - p0;",
        ]
        if let countsPadding {
            let area = (1 / Float(w.size * w.size)).cLiteral
            body.append("        const float f = \(countsPadding ? area : "1.0f / (float)(nj * np)");")
        }
        body += [
            "        for (long c = 0; c < \(vectors * unit.lanes); c += \(width) * VL) {",
            "            const float *s = x + (j0 * \(x.width) + p0) * \(xs) + c;",
            "            float *o = y + (i * \(y.width) + q) * \(ys) + c;",
            "            V \(start.joined(separator: ", "));",
            // Windows inside the image have literal bounds, so that compilers unroll them.
            "            if (nj == \(w.size) && np == \(w.size)) {",
        ]
        body += taps("\(w.size)", "\(w.size)") + ["            } else {"] + taps("nj", "np") + ["            }"]
        body += (0..<width).map {
            "            V_STORE(o + \($0) * VL, \(maximum ? "a\($0)" : "V_SCALE(a\($0), f)"));"
        }
        return body + ["        }", "    }", "}"]
    }
}
