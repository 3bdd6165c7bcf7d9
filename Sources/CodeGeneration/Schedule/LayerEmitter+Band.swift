extension LayerEmitter {
    /// Rows of the result at once; a divisor of the height.
    ///
    /// As many as keep what lies between in a quarter of the second cache. Where weights are so large that they would leave
    /// the cache from band to band, all rows of a share, if those fit into 60 % of it: weights are then read once.
    func defaultBand(producer: Layer?, middle: Layer, project: Layer?) -> Int {
        guard let window = middle.rowWindow else { return 1 }
        let m = program.tensors[middle.inputs[0]], d = program.tensors[middle.output]
        let projects = if case .dense? = project?.kind { true } else { false }
        func band(within bytes: Int) -> Int {
            sharedDivisor(of: d.height, shares) { band in
                let rows = min((band - 1) * window.stride + (window.size - 1) * window.dilation + 1, m.height)
                let ring = producer == nil ? 0 : rows * m.width * unit.pixelStride(m.channels)
                let middle = projects ? band * d.width * unit.pixelStride(d.channels) : 0
                return (ring + middle) * 4 <= bytes
            }
        }
        let weights = ((producer?.weights.count ?? 0) + (project?.weights.count ?? 0)) * 4
        let large = weights > unit.l2 / 8 ? band(within: unit.l2 / 5 * 3) : 0
        return large * shares.count >= d.height ? large : band(within: unit.l2 / 4)
    }

    /// Emits a depthwise convolution or a pooling together with the layer before it, which makes its rows as they are
    /// needed, and, when nothing else reads a convolution's result, the projection behind it or the channels' sums.
    ///
    /// The rows between live in a ring that stays in the cache. Returns how many layers were taken.
    mutating func emitBand(producer: Layer?, middle depthwise: Layer, after: Int) -> Int {
        guard let window = depthwise.rowWindow else {
            preconditionFailure("a band is built around a depthwise convolution or a pooling")
        }
        let pools = if case .maximum = depthwise.kind { true } else { false }
        let layers = program.layers
        let x = program.tensors[(producer ?? depthwise).inputs[0]]
        let m = program.tensors[depthwise.inputs[0]], d = program.tensors[depthwise.output]
        var taken = (producer == nil ? 0 : 1) + 1
        var project: Layer?
        var pool: Layer?
        if after < layers.count, !pools {
            let next = layers[after]
            if case .dense(let w) = next.kind, w.isPoint, next.inputs == [depthwise.output], next.scale == nil,
                uses[depthwise.output] == 1, program.tensors[depthwise.output].parent == nil
            {
                project = next
                taken += 1
            } else if next.kind == .globalAverage, next.inputs == [depthwise.output] {
                pool = next
                taken += 1
            }
        }

        if shares.count > 1, !pools, producer == nil || !x.planes,
            (options.split ?? defaultSplit(producer: producer, depthwise: depthwise, project: project)) == .channels
        {
            emitPanels(producer: producer, depthwise: depthwise, project: project, pool: pool)
            return taken
        }
        let ms = producer == nil ? stride(depthwise.inputs[0]) : unit.pixelStride(m.channels)
        let ds = project == nil ? stride(depthwise.output) : unit.pixelStride(d.channels)
        let reach = (window.size - 1) * window.dilation
        func ringRows(_ band: Int) -> Int { min((band - 1) * window.stride + reach + 1, m.height) }
        let ringRow = m.width * ms
        let chosen = defaultBand(producer: producer, middle: depthwise, project: project)
        let band = options.band.flatMap { $0 > 0 && d.height % $0 == 0 ? $0 : nil } ?? chosen
        let ring = ringRows(band)

        var parameters: [(name: String, operand: ProgramStep.Operand)] = [
            ("x", .tensor((producer ?? depthwise).inputs[0]))
        ]
        let last = project ?? depthwise
        parameters.append(("y", .output(last.output)))
        if let r = project?.residual { parameters.append(("r", .tensor(r))) }
        if let pool { parameters.append(("sum", .output(pool.output))) }

        var scratch = 0
        func reserve(_ floats: Int) -> Int {
            defer { scratch += (floats + 15) / 16 * 16 }
            return scratch
        }
        let ringAt = producer == nil ? 0 : reserve(ring * ringRow)
        let bandAt = project == nil ? 0 : reserve(band * d.width * ds)
        var body: [String] = []
        if producer != nil { body.append("float *ring = t + \(ringAt);") }
        if project != nil { body.append("float *mid = t + \(bandAt);") }
        let dc = unit.vectors(d.channels) * unit.lanes
        let share = shares.range(d.height / band, step: band)
        if producer != nil {
            let start = shares.count > 1 ? "mt_most(\(share.first) * \(window.stride) - \(window.top), 0)" : "0"
            body += ["long have = \(start);", "(void)have;"]
        }
        var stem: Stem?
        if let producer, x.planes, case .dense(let w) = producer.kind {
            stem = Stem(layer: producer, window: w, x: x, y: m, rows: ringRows(band), unit: unit)
            body += stem!.table
        }
        body.append("for (long y0 = \(share.first); y0 < \(share.end); y0 += \(band)) {")
        if let producer {
            body += [
                "    long need = (y0 + \(band - 1)) * \(window.stride) + \(reach + 1 - window.top);",
                "    if (need > \(m.height)) need = \(m.height);",
            ]
            let packed: PackedMatrix
            var kernel = MatrixKernel(
                pixels: 1, vectors: 1, pixelStride: stride(producer.inputs[0]), function: producer.function)
            var run = PackedMatrix.Run(x: "x1", y: "y1", yStride: ms)
            let row = "float *y1 = ring + i1 % \(ring) * \(ringRow);"
            if let stem {
                let at = reserve(stem.scratch)
                packed = stem.pack(blob: &blob, unit: unit)
                body += stem.copy(first: "have", last: "need", into: "(t + \(at))").map { "    " + $0 }
                kernel.taps = .flat
                kernel.pixelStride = stem.window.stride
                run.prologue = [
                    "for (long i1 = have; i1 < need; ++i1) {",
                    "const float *x1 = t + \(at) + (i1 - have) * \(stem.rowStep); \(row)",
                ]
                run.epilogue = ["}"]
            } else {
                let whole = band == d.height
                packed = PackedMatrix(
                    producer.weights, bias: producer.bias, outputs: m.channels, inputs: x.channels, taps: 1,
                    pixels: whole ? m.pixels : m.width, unit: unit, blob: &blob)
                if whole {
                    run.x = "x"
                    run.y = "ring"
                } else {
                    run.prologue = [
                        "for (long i1 = have; i1 < need; ++i1) {",
                        "const float *x1 = x + i1 * \(m.width * kernel.pixelStride); \(row)",
                    ]
                    run.epilogue = ["}"]
                }
            }
            body += packed.loops(kernel, run: run, library: &library, tapTable: stem == nil ? nil : "taps").map {
                "    " + $0
            }
            body.append("    have = need;")
        }

        body.append("    for (long i = y0; i < y0 + \(band); ++i) {")
        let row = { (j: String) in
            producer == nil ? "x + (\(j)) * \(ringRow)" : "ring + (\(j)) % \(ring) * \(ringRow)"
        }
        let output = project == nil ? "y + i * \(d.width * ds)" : "mid + (i - y0) * \(d.width * ds)"
        if pools {
            body += largest(
                of: depthwise, window, pixelStride: ms, row: row, target: "float *y1 = \(output);", resultStride: ds)
        } else {
            let packed = packDepthwise(depthwise, window)
            body += depthwiseRow(
                depthwise, window, packed, pixelStride: ms, outputStride: ds, row: row, output: output,
                sums: pool == nil ? nil : "sums + i * \(dc)"
            ).map { "        " + $0 }
        }
        body.append("    }")

        if let project {
            let y = program.tensors[project.output]
            let packed = PackedMatrix(
                project.weights, bias: project.bias, outputs: y.channels, inputs: d.channels, taps: 1,
                pixels: band * d.width, unit: unit,
                blob: &blob)
            let kernel = MatrixKernel(pixels: 1, vectors: 1, pixelStride: ds, function: project.function)
            let ys = stride(project.output)
            let run = PackedMatrix.Run(
                x: "mid", y: "(y + y0 * \(d.width * ys))", yStride: ys,
                residual: project.residual.map { .init(base: "(r + y0 * \(d.width * stride($0)))", stride: stride($0)) }
            )
            body += packed.loops(kernel, run: run, library: &library).map { "    " + $0 }
        }
        body.append("}")
        if let pool { body += [ProgramStep.aloneBarrier] + means(pool, rows: "sums", channels: dc) }
        add(
            last, producer == nil ? "depthwise" : "band", parameters: parameters, scratch: scratch, body: body,
            setup: pool == nil ? [] : ["float *const sums = common;", "(void)sums;"],
            commonScratch: pool == nil ? 0 : d.height * dc,
            with: [producer, project == nil ? nil : depthwise].compactMap { $0 })
        return taken
    }

    /// The means of an image's channels from the sums of its rows, added from top to bottom.
    ///
    /// Sums are kept by row, so that they do not depend on which share computes which rows.
    private func means(_ pool: Layer, rows: String, channels: Int) -> [String] {
        let image = program.tensors[pool.inputs[0]]
        return [
            "for (long c = 0; c < \(channels); c += VL) {", "    V a = V_ZERO;",
            "    for (long i = 0; i < \(image.height); ++i) a = V_ADD(a, V_LOAD(\(rows) + i * \(channels) + c));",
            "    V_STORE(sum + c, V_SCALE(a, \((1 / Float(image.pixels)).cLiteral)));", "}",
        ]
    }

    /// Where a depthwise layer's packed bias and weights lie: vector by vector, the taps of each side by side.
    struct PackedDepthwise {
        var bias: Int
        var weights: Int
        var taps: Int
    }

    mutating func packDepthwise(_ layer: Layer, _ window: LayerWindow) -> PackedDepthwise {
        let channels = program.tensors[layer.output].channels, vectors = unit.vectors(channels)
        let taps = window.size * window.size
        var w = [Float](repeating: 0, count: vectors * unit.lanes * taps)
        for c in 0..<channels {
            for t in 0..<taps {
                w[(c / unit.lanes * taps + t) * unit.lanes + c % unit.lanes] = layer.weights[c * taps + t]
            }
        }
        let bias = blob.append((0..<vectors * unit.lanes).map { $0 < layer.bias.count ? layer.bias[$0] : 0 })
        return PackedDepthwise(bias: bias, weights: blob.append(w), taps: taps)
    }

    /// Row `i` of a depthwise layer, for all channels or for `vectors` of them from the C expression `first` on.
    ///
    /// - Parameters:
    ///   - row: the address of an input row.
    ///   - sums: where the row's sums by channel go.
    mutating func depthwiseRow(
        _ layer: Layer, _ window: LayerWindow, _ packed: PackedDepthwise, pixelStride: Int, outputStride: Int,
        row: (String) -> String, output: String, sums: String?, first: String? = nil, vectors: String? = nil
    ) -> [String] {
        let m = program.tensors[layer.inputs[0]], d = program.tensors[layer.output]
        let reach = (window.size - 1) * window.dilation, count = vectors ?? "\(unit.vectors(d.channels))"
        var lines = [
            "const float *rows[\(window.size)];",
            "long top = i * \(window.stride) - \(window.top), first = 0, last = \(window.size);",
            window.dilation == 1
                ? "if (top < 0) first = -top;"
                : "if (top < 0) first = (\(window.dilation - 1) - top) / \(window.dilation);",
            "while (last > 0 && top + (last - 1) * \(window.dilation) >= \(m.height)) --last;",
            "for (long j = first; j < last; ++j) rows[j] = \(row("top + j * \(window.dilation)"));",
            "float *y1 = \(output);",
        ]
        if let sums {
            lines += [
                "float *const rowsum = \(sums);",
                "for (long c = 0; c < \(count); ++c) V_STORE(rowsum + c * VL, V_ZERO);",
            ]
        }
        let limit = max(1, unit.registers - window.size - 3)
        let most = min(14, limit)
        let runs = (d.width + most - 1) / most
        let weights = "W + \(packed.weights)" + (first.map { " + (\($0)) * \(packed.taps * unit.lanes)" } ?? "")
        let bias = "W + \(packed.bias)" + (first.map { " + (\($0)) * VL" } ?? "")
        var column = 0
        for r in 0..<runs {
            let pixels = d.width / runs + (r < d.width % runs ? 1 : 0)
            let start = column * window.stride - window.left
            let missingLeft = max(0, -start)
            let missingRight = max(0, start + (pixels - 1) * window.stride + reach + 1 - m.width)
            let kernel = DepthwiseKernel(
                pixels: pixels, taps: window.size, stride: window.stride, dilation: window.dilation,
                missingLeft: missingLeft,
                missingRight: missingRight, pixelStride: pixelStride, function: layer.function, sums: sums != nil)
            lines.append(
                "\(library.use(kernel))(rows, \((start + missingLeft) * pixelStride), \(weights), \(bias), y1 + \(column * outputStride), \(outputStride), \(count), first, last\(sums == nil ? "" : ", rowsum"));"
            )
            column += pixels
        }
        return lines
    }

    /// The lines for row `i` of a pooling to the largest. Taps outside the image count as their nearest neighbours inside.
    private func largest(
        of layer: Layer, _ window: LayerWindow, pixelStride: Int, row: (String) -> String, target: String,
        resultStride: Int
    ) -> [String] {
        let m = program.tensors[layer.inputs[0]], d = program.tensors[layer.output]
        let taps = 0..<window.size
        var value = "V_LOAD(rows[0] + at[0] + c)"
        for j in taps { for p in taps where j + p > 0 { value = "v_max(\(value), V_LOAD(rows[\(j)] + at[\(p)] + c))" } }
        return [
            "        const float *rows[\(window.size)];",
            "        for (long j = 0; j < \(window.size); ++j) {",
            "            long k = i * \(window.stride) - \(window.top) + j;",
            "            k = k < 0 ? 0 : k < \(m.height) ? k : \(m.height - 1);",
            "            rows[j] = \(row("k"));",
            "        }",
            "        \(target)",
            "        for (long q = 0; q < \(d.width); ++q) {",
            "            long at[\(window.size)];",
            "            for (long p = 0; p < \(window.size); ++p) {",
            "                const long k = q * \(window.stride) - \(window.left) + p;",
            "                at[p] = (k < 0 ? 0 : k < \(m.width) ? k : \(m.width - 1)) * \(pixelStride);",
            "            }",
            "            for (long c = 0; c < \(unit.vectors(d.channels) * unit.lanes); c += VL)",
            "                V_STORE(y1 + q * \(resultStride) + c, \(value));",
            "        }",
        ]
    }
}

extension Layer {
    /// The window of a layer that a band of rows can be built around.
    var rowWindow: LayerWindow? {
        switch kind {
        case .depthwise(let window), .maximum(let window): window
        default: nil
        }
    }
}
