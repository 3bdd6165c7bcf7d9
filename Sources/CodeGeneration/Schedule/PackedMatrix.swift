/// The weights of a dense layer, packed panel by panel for one tiling, and the loops that run them.
struct PackedMatrix {
    let tiling: Tiling
    /// Inputs at each tap, and taps.
    let depth: Int
    let taps: Int
    let weights: Int
    let bias: Int
    let lanes: Int
    /// What the shares of several threads are made of; `nil` where the caller shares the runs.
    let split: Split?
    let shares: Shares

    enum Order { case tapsOutside, channelsOutside }

    /// - Parameter weights: `[Co][Ci][taps]`.
    init(
        _ weights: [Float], bias: [Float], outputs: Int, inputs: Int, taps: Int, order: Order = .tapsOutside,
        pixels: Int, unit: VectorUnit, split: Split? = nil, blob: inout WeightBlob
    ) {
        lanes = unit.lanes
        self.split = unit.threads > 1 ? split : nil
        shares = unit.shares
        tiling = Tiling(
            pixels: pixels, vectors: unit.vectors(outputs), depth: inputs * taps, unit: unit,
            half: unit.endsInHalf(outputs), split: self.split)
        depth = inputs
        self.taps = taps
        let padded = unit.vectors(outputs) * unit.lanes
        self.bias = blob.append((0..<padded).map { $0 < bias.count ? bias[$0] : 0 })
        var packed = [Float](repeating: 0, count: padded * inputs * taps)
        var channel = 0, at = 0
        for part in tiling.parts {
            let width = part.vectors * unit.lanes
            for _ in 0..<part.panels {
                let count = min(width, max(outputs - channel, 0))
                for n in 0..<count {
                    let row = (channel + n) * inputs * taps
                    for k in 0..<inputs {
                        for t in 0..<taps {
                            let position = order == .tapsOutside ? t * inputs + k : k * taps + t
                            packed[at + position * width + n] = weights[row + k * taps + t]
                        }
                    }
                }
                at += width * inputs * taps
                channel += width
            }
        }
        self.weights = blob.append(packed)
    }

    /// A residual operand: where it starts and how far its pixels lie apart.
    struct Residual {
        var base: String
        var stride: Int
    }

    /// Where the pixels of one run lie. `prologue` and `epilogue` open and close a loop over runs inside each panel.
    struct Run {
        var x: String
        var y: String
        var yStride: Int
        var residual: Residual?
        var prologue: [String] = []
        var epilogue: [String] = []
        /// Whether the result has the panel's channels alone.
        var isPanel = false
    }

    /// The loop header over the panels of one part of the tiling: all, or those of a share. `first` panels lie before.
    func panelLoop(_ part: Tiling.Part, first: Int) -> String {
        guard split == .channels else { return "for (long p = 0; p < \(part.panels); ++p) {" }
        let start = first == 0 ? "cuts[part]" : "mt_most(cuts[part] - \(first), 0)"
        return "for (long p = \(start); p < mt_least(cuts[part + 1] - \(first), \(part.panels)); ++p) {"
    }

    /// The table of the shares' boundaries, where panels are shared.
    var panelCuts: [String] {
        guard split == .channels else { return [] }
        let costs = tiling.parts.flatMap { [Double](repeating: Double($0.vectors), count: $0.panels) }
        return [Self.table(shares.cuts(costs))]
    }

    private static func table(_ cuts: [Int]) -> String {
        "static const int cuts[\(cuts.count)] = {\(cuts.map(String.init).joined(separator: ", "))};"
    }

    /// The loops over panels, runs and tiles.
    ///
    /// - Parameters:
    ///   - scale: the name of the input channels' factors; each panel is scaled into `scratch` first.
    func loops(
        _ kernel: MatrixKernel, run: Run, library: inout KernelLibrary, tapTable: String? = nil, scale: String? = nil,
        scratch: String = "t"
    ) -> [String] {
        loops(kernel, library: &library, tapTable: tapTable, scale: scale, scratch: scratch) { _, _ in run }
    }

    /// The same with runs that differ between parts of the tiling: of a part and the channel that it starts with.
    func loops(
        _ kernel: MatrixKernel, library: inout KernelLibrary, tapTable: String? = nil, scale: String? = nil,
        scratch: String = "t", runs: (Tiling.Part, Int) -> Run
    ) -> [String] {
        var lines = panelCuts
        var offset = weights, channel = 0, panels = 0
        let steps = depth * taps
        for part in tiling.parts {
            let width = part.vectors * lanes, panel = width * steps
            let run = runs(part, channel)
            lines.append(panelLoop(part, first: panels))
            lines.append(
                "    const float *w = W + \(offset) + p * \(panel), *b = W + \(bias + channel) + p * \(width), *n = w + \(panel);"
            )
            lines.append("    (void)n;")
            if let scale {
                lines.append("    for (long k = 0; k < \(depth); ++k) {")
                lines.append("        float f = \(scale)[k];")
                for v in 0..<part.vectors {
                    lines.append(
                        "        V_STORE(\(scratch) + (k * \(part.vectors) + \(v)) * VL, V_SCALE(V_LOAD(w + (k * \(part.vectors) + \(v)) * VL), f));"
                    )
                }
                lines += ["    }", "    w = \(scratch);"]
            }
            lines += run.prologue.map { "    " + $0 }
            var pixel = 0, first = 0
            // Tiles are shared where nothing else is: a loop over rows around them is its owner's to share.
            let sharesTiles = split == .rows && run.prologue.isEmpty
            if sharesTiles {
                let costs = part.pixels.flatMap { [Double](repeating: Double($0[0]), count: $0[1]) }
                lines.append("    " + Self.table(shares.cuts(costs)))
            }
            for piece in part.pixels {
                var tile = kernel
                tile.pixels = piece[0]
                tile.vectors = part.vectors
                tile.half = part.half
                tile.residual = run.residual != nil
                let tiles = part.pixels.reduce(0) { $0 + $1[1] }
                tile.prefetches = (part.vectors + tiles - 1) / tiles
                let name = library.use(tile)
                let at = { (base: String, stride: Int) in
                    base + (pixel > 0 ? " + \(pixel * stride)" : "")
                        + (piece[1] > 1 ? " + i * \(piece[0] * stride)" : "")
                }
                let column =
                    run.isPanel ? "" : (channel > 0 ? " + \(channel)" : "") + (part.panels > 1 ? " + p * \(width)" : "")
                var call = "\(name)(\(at(run.x, kernel.pixelStride)), w, b, "
                if let r = run.residual { call += "\(at(r.base, r.stride))\(column), \(r.stride), " }
                // A panel read once streams a little ahead of itself; one read by many tiles brings in its successor meanwhile.
                let turn =
                    piece[1] > 1 ? "n + i % \(part.vectors) * \(steps * lanes)" : tiles == 1 ? "w + \(width * 8)" : "n"
                call += "\(at(run.y, run.yStride))\(column), \(depth), \(run.yStride), \(turn)"
                if let tapTable { call += ", \(tapTable), \(kernel.taps == .flat ? steps : taps)" }
                call += ");"
                let loop =
                    switch (sharesTiles, piece[1]) {
                    case (false, 1): ""
                    case (false, let count): "for (long i = 0; i < \(count); ++i) "
                    case (true, 1): "if (cuts[part] <= \(first) && cuts[part + 1] > \(first)) "
                    case (true, let count):
                        "for (long i = mt_most(cuts[part] - \(first), 0); i < mt_least(cuts[part + 1] - \(first), \(count)); ++i) "
                    }
                lines.append("    " + loop + call)
                pixel += piece[0] * piece[1]
                first += piece[1]
            }
            lines += run.epilogue.map { "    " + $0 }
            lines.append("}")
            offset += panel * part.panels
            channel += width * part.panels
            panels += part.panels
        }
        return split == .channels ? ["{"] + lines + ["}"] : lines
    }
}
