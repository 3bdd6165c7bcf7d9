extension LayerEmitter {
    /// Emits a 3x3 convolution of stride 1 with a border of one, through Winograd's transforms.
    ///
    /// Tiles are taken in blocks of whole rows of tiles: all inputs of a block are transformed; then, panel by panel of
    /// output channels, all positions are multiplied and transformed back, so that each weight is read once a block.
    mutating func emitWinograd(
        _ layer: Layer, _ w: Winograd, parameters: [(name: String, operand: ProgramStep.Operand)],
        residual: PackedMatrix.Residual?
    ) {
        let x = program.tensors[layer.inputs[0]], y = program.tensors[layer.output]
        let xs = stride(layer.inputs[0]), ys = stride(layer.output), us = unit.pixelStride(x.channels)
        let xv = unit.vectors(x.channels), yv = unit.vectors(y.channels), positions = w.positions, m = w.tile,
            side = w.side
        let high = (y.height + m - 1) / m, wide = (y.width + m - 1) / m
        let fitting = max(1, unit.l2 / 2 / (positions * wide * us * 4))
        let split = split(layer), byChannels = split == .channels && shares.count > 1
        // By channels all shares read the same transformed inputs; by rows each has its own blocks of them.
        let least = (high + fitting - 1) / fitting, n = shares.count
        let blocks = byChannels ? 1 : min((least + n - 1) / n * n, high)
        let rows = (high + blocks - 1) / blocks
        let tiling = Tiling(
            pixels: rows * wide, vectors: yv, depth: x.channels, unit: unit, split: byChannels ? .channels : nil)
        let panelCuts = shares.cuts(
            tiling.parts.flatMap { [Double](repeating: Double($0.vectors), count: $0.panels) })

        let padded = yv * unit.lanes
        let bias = blob.append((0..<padded).map { $0 < layer.bias.count ? layer.bias[$0] : 0 })
        let zero = blob.append([Float](repeating: 0, count: padded))
        var packed = [Float](repeating: 0, count: padded * x.channels * positions)
        var channel = 0, at = 0
        for part in tiling.parts {
            let width = part.vectors * unit.lanes
            for _ in 0..<part.panels {
                for n in 0..<min(width, max(y.channels - channel, 0)) {
                    for k in 0..<x.channels {
                        let filter = w.transform(
                            filter: layer.weights[
                                ((channel + n) * x.channels + k) * 9..<((channel + n) * x.channels + k + 1) * 9])
                        for p in 0..<positions { packed[at + (p * x.channels + k) * width + n] = filter[p] }
                    }
                }
                at += width * x.channels * positions
                channel += width
            }
        }
        let weights = blob.append(packed)

        let widest = tiling.parts.map(\.vectors).max()! * unit.lanes
        let uFloats = positions * rows * wide * us, mFloats = positions * rows * wide * widest
        let block = shares.range((high + rows - 1) / rows, step: rows), tileRows = shares.range(high)
        let setup = [
            byChannels
                ? "float *u = common, *mo = t, *patch = mo + \(mFloats);"
                : "float *u = t, *mo = t + \(uFloats), *patch = mo + \(mFloats);", "(void)mo; (void)patch;",
        ]
        let transform =
            byChannels ? "for (long i = \(tileRows.first); i < \(tileRows.end); ++i)" : "for (long i = r0; i < r1; ++i)"
        let blockLoop =
            byChannels
            ? ["{", "    const long r0 = 0, r1 = \(high);", "    (void)r1;"]
            : [
                "for (long r0 = \(block.first); r0 < \(block.end); r0 += \(rows)) {",
                "    long r1 = r0 + \(rows) < \(high) ? r0 + \(rows) : \(high);",
            ]
        var body =
            blockLoop + [
                "    " + transform,
                "        for (long j = 0; j < \(wide); ++j) {",
                "            long top = i * \(m) - 1, left = j * \(m) - 1;",
                "            float *o = u + ((i - r0) * \(wide) + j) * \(us);",
                "            if (top >= 0 && left >= 0 && top + \(side) <= \(x.height) && left + \(side) <= \(x.width)) {",
                "                \(library.use(WinogradInputKernel(winograd: w)))(x + (top * \(x.width) + left) * \(xs), \(x.width * xs), \(xs), o, \(rows * wide * us), \(xv));",
                "                continue;",
                "            }",
                "            for (long a = 0; a < \(side); ++a)",
                "                for (long b = 0; b < \(side); ++b) {",
                "                    float *d = patch + (a * \(side) + b) * \(xv) * VL;",
                "                    const float *q = x + ((top + a) * \(x.width) + left + b) * \(xs);",
                "                    if (top + a < 0 || top + a >= \(x.height) || left + b < 0 || left + b >= \(x.width))",
                "                        for (long c = 0; c < \(xv); ++c) V_STORE(d + c * VL, V_ZERO);",
                "                    else",
                "                        for (long c = 0; c < \(xv); ++c) V_STORE(d + c * VL, V_LOAD(q + c * VL));",
                "                }",
                "            \(library.use(WinogradInputKernel(winograd: w)))(patch, \(side * xv) * VL, \(xv) * VL, o, \(rows * wide * us), \(xv));",
                "        }",
            ]
        var offset = weights, panels = 0
        channel = 0
        if byChannels {
            body += ["}", ProgramStep.barrier] + blockLoop
            body.append(
                "    static const int cuts[\(panelCuts.count)] = {\(panelCuts.map(String.init).joined(separator: ", "))};"
            )
        }
        for part in tiling.parts {
            let width = part.vectors * unit.lanes, block = width * x.channels
            body += [
                byChannels
                    ? "    for (long p = mt_most(cuts[part] - \(panels), 0); p < mt_least(cuts[part + 1] - \(panels), \(part.panels)); ++p) {"
                    : "    for (long p = 0; p < \(part.panels); ++p) {",
                "        const float *w = W + \(offset) + p * \(block * positions), *b = W + \(bias + channel) + p * \(width);",
                "        for (long q = 0; q < \(positions); ++q, w += \(block)) {",
            ]
            let tiles = part.pixels.reduce(0) { $0 + $1[1] }
            var pixel = 0
            for piece in part.pixels {
                var kernel = MatrixKernel(pixels: piece[0], vectors: part.vectors, pixelStride: us)
                kernel.prefetches = (part.vectors + tiles - 1) / tiles
                let name = library.use(kernel)
                let turn =
                    piece[1] > 1 ? "w + \(block) + i % \(part.vectors) * \(x.channels * unit.lanes)" : "w + \(block)"
                body.append(
                    "            for (long i = 0; i < \(piece[1]); ++i) \(name)(u + q * \(rows * wide * us) + \(pixel * us) + i * \(piece[0] * us), w, W + \(zero), mo + q * \(rows * wide * width) + \(pixel * width) + i * \(piece[0] * width), \(x.channels), \(width), \(turn));"
                )
                pixel += piece[0] * piece[1]
            }
            let out = library.use(
                WinogradOutputKernel(
                    winograd: w, vectors: part.vectors, function: layer.function, residual: residual != nil))
            let r =
                residual.map {
                    "r + (i * \(m * y.width) + j * \(m)) * \($0.stride) + \(channel) + p * \(width), \(y.width * $0.stride), \($0.stride), "
                } ?? ""
            body += [
                "        }",
                "        for (long i = r0; i < r1; ++i)",
                "            for (long j = 0; j < \(wide); ++j) {",
                "                long vh = \(y.height) - i * \(m), vw = \(y.width) - j * \(m);",
                "                \(out)(mo + ((i - r0) * \(wide) + j) * \(width), \(rows * wide * width), b, \(r)y + (i * \(m * y.width) + j * \(m)) * \(ys) + \(channel) + p * \(width), \(y.width * ys), \(ys), vh < \(m) ? vh : \(m), vw);",
                "            }",
                "    }",
            ]
            offset += block * positions * part.panels
            channel += width * part.panels
            panels += part.panels
        }
        body.append("}")
        let own = mFloats + positions * xv * unit.lanes
        add(
            layer, "winograd\(m)", parameters: parameters, scratch: byChannels ? own : uFloats + own, body: body,
            setup: setup, commonScratch: byChannels ? uFloats : 0)
    }
}
