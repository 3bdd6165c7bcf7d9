/// Blocks around a depthwise convolution whose shares are channels: no share computes a row twice, and each streams its own
/// weights alone.
extension LayerEmitter {
    /// The split whose dearest share costs least by the tilings' cycles and the bytes that have to be streamed.
    func defaultSplit(producer: Layer?, depthwise: Layer, project: Layer?) -> Split {
        guard shares.count > 1, case .depthwise(let window) = depthwise.kind else { return .rows }
        let m = program.tensors[depthwise.inputs[0]], d = program.tensors[depthwise.output]
        let x = program.tensors[(producer ?? depthwise).inputs[0]], n = Double(shares.count)
        if x.planes { return .rows }
        let mv = unit.vectors(m.channels), dv = unit.vectors(d.channels), taps = Double(window.size * window.size)
        let outputs = project.map { unit.vectors(program.tensors[$0.output].channels) } ?? 0
        let bytes = Double((producer?.weights.count ?? 0) + (project?.weights.count ?? 0)) * 4

        let band = defaultBand(producer: producer, middle: depthwise, project: project)
        let rows = shares.largest(d.height / band) * Double(d.height)
        let made = min(
            (rows - 1) * Double(window.stride) + Double((window.size - 1) * window.dilation + 1), Double(m.height))
        var byRows = rows * Double(d.width * dv) * taps * 1.4
        if producer != nil {
            let tiling = Tiling(pixels: m.width, vectors: mv, depth: x.channels, unit: unit)
            byRows += tiling.cost(depth: x.channels, unit: unit, split: nil) * made
        }
        if project != nil {
            let tiling = Tiling(pixels: band * d.width, vectors: outputs, depth: d.channels, unit: unit)
            byRows += tiling.cost(depth: d.channels, unit: unit, split: nil) * rows / Double(band)
        }

        var byChannels = Double(d.pixels) * Double((dv + shares.count - 1) / shares.count) * taps * 1.4
        if producer != nil {
            let flat = panelIsFlat(m)
            let tiling = Tiling(
                pixels: flat ? m.pixels : m.width, vectors: mv, depth: x.channels, unit: unit, split: .channels)
            byChannels +=
                tiling.cost(depth: x.channels, unit: unit, split: .channels) * Double(flat ? 1 : m.height)
            let panels = Double(tiling.parts.reduce(0) { $0 + $1.panels }) / n
            byChannels += panels * Double(x.pixels * x.channels * 4) / 64
        }
        if let project {
            let split = projectSplit(project, d)
            let tiling = Tiling(pixels: d.pixels, vectors: outputs, depth: d.channels, unit: unit, split: split)
            // Another phase costs about half a microsecond.
            byChannels += tiling.cost(depth: d.channels, unit: unit, split: split) + 1500
        }
        let rowTotal = max(byRows, bytes / 10) + bytes / 40,
            channelTotal = max(byChannels, bytes / n / 10) + bytes / n / 40
        return channelTotal < rowTotal ? .channels : .rows
    }

    /// The split of a node: that of its block, or of its heaviest layer.
    func programSplit() -> Split {
        let layers = program.layers
        if let at = layers.firstIndex(where: { if case .depthwise = $0.kind { true } else { false } }) {
            let next = at + 1 < layers.count ? layers[at + 1] : nil
            let projects = if case .dense? = next?.kind { true } else { false }
            return defaultSplit(
                producer: at > 0 ? layers[at - 1] : nil, depthwise: layers[at], project: projects ? next : nil)
        }
        guard let heaviest = layers.max(by: { program.macs($0) < program.macs($1) }) else { return .rows }
        return defaultSplit(heaviest)
    }

    /// Whether all rows of one panel of channels fit into a part of the second cache.
    private func panelIsFlat(_ m: LayerTensor) -> Bool { m.pixels * 2 * unit.lanes * 4 <= unit.l2 / 8 }

    private func projectSplit(_ project: Layer, _ d: LayerTensor) -> Split {
        let vectors = unit.vectors(program.tensors[project.output].channels)
        func cost(_ split: Split) -> Double {
            Tiling(pixels: d.pixels, vectors: vectors, depth: d.channels, unit: unit, split: split)
                .cost(depth: d.channels, unit: unit, split: split)
        }
        return cost(.channels) < cost(.rows) ? .channels : .rows
    }

    /// Emits the block: each panel of the layer before and its depthwise channels by one share, then the projection.
    mutating func emitPanels(producer: Layer?, depthwise: Layer, project: Layer?, pool: Layer?) {
        guard case .depthwise(let window) = depthwise.kind else {
            preconditionFailure("panels are built around a depthwise convolution")
        }
        let m = program.tensors[depthwise.inputs[0]], d = program.tensors[depthwise.output]
        let lanes = unit.lanes, dv = unit.vectors(d.channels)
        let ds = project == nil ? stride(depthwise.output) : unit.pixelStride(d.channels)
        let last = project ?? depthwise
        var parameters: [(name: String, operand: ProgramStep.Operand)] = [
            ("x", .tensor((producer ?? depthwise).inputs[0])), ("y", .output(last.output)),
        ]
        if let r = project?.residual { parameters.append(("r", .tensor(r))) }
        if let pool { parameters.append(("sum", .output(pool.output))) }
        let target = project == nil ? "y" : "mid"
        var scratch = 0, body: [String] = []

        if let producer {
            let flat = panelIsFlat(m), reach = (window.size - 1) * window.dilation
            func ringRows(_ band: Int) -> Int { min((band - 1) * window.stride + reach + 1, m.height) }
            let band =
                flat
                ? d.height : divisor(of: d.height) { ringRows($0) * m.width * 2 * lanes * 4 <= unit.l2 / 16 }
            let ring = ringRows(band)
            let dense = PackedMatrix(
                producer.weights, bias: producer.bias, outputs: m.channels,
                inputs: program.tensors[producer.inputs[0]].channels, taps: 1, pixels: flat ? m.pixels : m.width,
                unit: unit, split: .channels, blob: &blob)
            let packed = packDepthwise(depthwise, window)
            let widest = (dense.tiling.parts.map(\.vectors).max() ?? 1) * lanes
            let ringFloats = (flat ? m.height : ring) * m.width * widest
            scratch = ringFloats + (pool == nil ? 0 : widest)
            let xs = stride(producer.inputs[0])
            // The rows of the depthwise layer for each width of panel.
            var rows: [Int: [String]] = [:], channel = 0
            for part in dense.tiling.parts {
                let width = part.vectors * lanes, at = "\(channel) + p * \(width)"
                let index = flat ? "" : " % \(ring)"
                rows[channel] = depthwiseRow(
                    depthwise, window, packed, pixelStride: width, outputStride: ds,
                    row: { "t + (\($0))\(index) * \(m.width * width)" },
                    output: "\(target) + i * \(d.width * ds) + \(at)",
                    sums: pool == nil ? nil : "t + \(ringFloats)", first: "\(channel / lanes) + p * \(part.vectors)",
                    vectors: "\(part.vectors)")
                channel += width * part.panels
            }
            let kernel = MatrixKernel(pixels: 1, vectors: 1, pixelStride: xs, function: producer.function)
            body += dense.loops(kernel, library: &library) { part, channel in
                let width = part.vectors * lanes, at = "\(channel) + p * \(width)"
                var run = PackedMatrix.Run(x: flat ? "x" : "x1", y: flat ? "t" : "y1", yStride: width, isPanel: true)
                let begin = pool == nil ? [] : Self.channelSums("\(at)", part.vectors, "V_ZERO")
                let add =
                    pool == nil
                    ? [] : Self.channelSums("\(at)", part.vectors, "V_ADD(V_LOAD(q), V_LOAD(rowsum + c * VL))")
                let share = (1 / Float(d.pixels)).cLiteral
                let end = pool == nil ? [] : Self.channelSums("\(at)", part.vectors, "V_SCALE(V_LOAD(q), \(share))")
                let image = ["    \(rows[channel]!.joined(separator: "\n            "))"] + add + ["}"]
                if flat {
                    run.prologue = []
                    run.epilogue = begin + ["for (long i = 0; i < \(d.height); ++i) {"] + image + end
                } else {
                    run.prologue =
                        begin + [
                            "long have = 0;", "for (long y0 = 0; y0 < \(d.height); y0 += \(band)) {",
                            "long need = mt_least((y0 + \(band - 1)) * \(window.stride) + \(reach + 1 - window.top), \(m.height));",
                            "for (long i1 = have; i1 < need; ++i1) {",
                            "const float *x1 = x + i1 * \(m.width * xs); float *y1 = t + i1 % \(ring) * \(m.width * width);",
                        ]
                    run.epilogue =
                        ["}", "have = need;", "for (long i = y0; i < y0 + \(band); ++i) {"] + image + ["}"] + end
                }
                return run
            }
        } else {
            let packed = packDepthwise(depthwise, window), share = shares.range(dv)
            let ms = stride(depthwise.inputs[0])
            scratch = pool == nil ? 0 : dv * lanes
            body += ["const long v0 = \(share.first), nv = \(share.end) - v0;"]
            if pool != nil { body += Self.channelSums("v0 * VL", nil, "V_ZERO") }
            body.append("for (long i = 0; i < \(d.height); ++i) {")
            body += depthwiseRow(
                depthwise, window, packed, pixelStride: ms, outputStride: ds,
                row: { "x + (\($0)) * \(m.width * ms) + v0 * VL" },
                output: "\(target) + i * \(d.width * ds) + v0 * VL", sums: pool == nil ? nil : "t", first: "v0",
                vectors: "nv")
            if pool != nil { body += Self.channelSums("v0 * VL", nil, "V_ADD(V_LOAD(q), V_LOAD(rowsum + c * VL))") }
            body.append("}")
            if pool != nil {
                body += Self.channelSums("v0 * VL", nil, "V_SCALE(V_LOAD(q), \((1 / Float(d.pixels)).cLiteral))")
            }
        }

        if let project {
            body.append(ProgramStep.barrier)
            let y = program.tensors[project.output]
            let packed = PackedMatrix(
                project.weights, bias: project.bias, outputs: y.channels, inputs: d.channels, taps: 1,
                pixels: d.pixels, unit: unit, split: projectSplit(project, d), blob: &blob)
            let kernel = MatrixKernel(pixels: 1, vectors: 1, pixelStride: ds, function: project.function)
            let run = PackedMatrix.Run(
                x: "mid", y: "y", yStride: writtenStride(project.output),
                residual: project.residual.map { .init(base: "r", stride: stride($0)) })
            body += packed.loops(kernel, run: run, library: &library)
        }
        add(
            last, producer == nil ? "depthwise" : "panels", parameters: parameters, scratch: scratch, body: body,
            setup: project == nil ? [] : ["float *const mid = common;", "(void)mid;"],
            commonScratch: project == nil ? 0 : d.pixels * ds,
            with: [producer, project == nil ? nil : depthwise].compactMap { $0 })
    }

    /// Sets each vector `q` of a share's sums to an expression of it.
    private static func channelSums(_ first: String, _ vectors: Int?, _ value: String) -> [String] {
        [
            "for (long c = 0; c < \(vectors.map(String.init) ?? "nv"); ++c) {",
            "    float *q = sum + \(first) + c * VL;", "    V_STORE(q, \(value));", "}",
        ]
    }
}
