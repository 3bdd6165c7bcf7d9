/// A register tile of a matrix product: `pixels` rows of activations times `vectors` vectors of output channels.
///
/// `y[m][n] = f(b[n] + Σ_t Σ_k x[taps[t] + m · pixelStride + k] · w[t][k][n] (+ r[m][n]))`: one broadcast of the activation feeds
/// `vectors` multiply-adds, the weights of one `k` lie side by side. Convolutions are the same with a tap table.
struct MatrixKernel: MicroKernel {
    enum Taps: Hashable, Sendable {
        /// A plain product.
        case none
        /// A table of offsets, `k` consecutive inputs at each.
        case outer
        /// A table with one entry for each `k`.
        case flat
    }

    var pixels: Int
    var vectors: Int
    /// Floats between the inputs of neighbouring pixels.
    var pixelStride: Int
    var taps = Taps.none
    var function = PointwiseFunction.identity
    var residual = false
    /// Lines of weights to come that are asked for at each step.
    var prefetches = 1
    /// Whether the upper half of the last vector is padding and left out.
    var half = false

    var name: String {
        let kind =
            switch taps {
            case .none: "mm";
            case .outer: "conv";
            case .flat: "stem"
            }
        return
            "\(kind)_\(pixels)x\(vectors)\(half ? "h" : "")_\(pixelStride)\(function.tag)\(residual ? "_add" : "")"
            + (prefetches == 1 ? "" : "_pf\(prefetches)")
    }

    func source(_ unit: VectorUnit) -> String {
        let tap = taps == .none ? "" : ", const int *taps, long nt"
        let rows = 0..<pixels, columns = 0..<vectors
        var s =
            "MT_KERNEL void \(name)(const float *x, const float *w, const float *b, \(residual ? "const float *r, long rs, " : "")"
        s += "float *y, long kk, long ys, const float *pf\(tap))\n{\n"
        if pixels == 1 { s += "    (void)ys;\(residual ? " (void)rs;" : "")\n" }
        // By column: the kind of vector, and the prefix of its macros.
        func kind(_ n: Int) -> (type: String, prefix: String) {
            half && n == vectors - 1 ? ("VH", "H") : ("V", "V")
        }
        for n in columns { s += "    \(kind(n).type) b\(n) = \(kind(n).prefix)_LOAD(b + \(n) * VL);\n" }
        for m in rows { for n in columns { s += "    \(kind(n).type) a\(m)_\(n) = b\(n);\n" } }
        let address: (Int) -> String
        switch taps {
        case .none:
            s += "    for (long k = 0; k < kk; ++k) {\n"
            address = { "x[k + \($0 * pixelStride)]" }
        case .outer:
            s +=
                "    for (long t = 0; t < nt; ++t) {\n    const float *q = x + taps[t];\n    for (long k = 0; k < kk; ++k) {\n"
            address = { "q[k + \($0 * pixelStride)]" }
        case .flat:
            s += "    (void)kk;\n    for (long t = 0; t < nt; ++t) {\n    const float *q = x + taps[t];\n"
            address = { "q[\($0 * pixelStride)]" }
        }
        for n in columns { s += "        \(kind(n).type) w\(n) = \(kind(n).prefix)_LOAD(w + \(n) * VL);\n" }
        s += "        float s;\n"
        for j in 0..<prefetches { s += "        MT_PREFETCH(pf + \(j) * VL);\n" }
        s += prefetches > 0 ? "        pf += \(prefetches) * VL;\n" : "        (void)pf;\n"
        s += "        w += \(vectors) * VL;\n"
        for m in rows {
            s +=
                "        s = \(address(m)); "
                + columns.map { "\(kind($0).prefix)_FMAS(a\(m)_\($0), s, w\($0));" }.joined(separator: " ")
                + "\n"
        }
        s += taps == .outer ? "    }\n    }\n" : "    }\n"
        for m in rows {
            for n in columns {
                var value = kind(n).type == "VH" ? "H_WIDEN(a\(m)_\(n))" : "a\(m)_\(n)"
                if residual { value = "V_ADD(\(value), V_LOAD(r + \(n) * VL))" }
                s += "    V_STORE(y + \(n) * VL, \(function(value)));\n"
            }
            if m + 1 < pixels { s += "    y += ys;\(residual ? " r += rs;" : "")\n" }
        }
        return s + "}\n"
    }
}

/// How a matrix of `pixels` by `vectors` is cut into register tiles.
struct Tiling: Hashable, Sendable {
    /// A run of panels of equal width, and how the pixels are cut for them: `(size, count)`, larger first.
    struct Part: Hashable, Sendable {
        var vectors: Int
        var panels: Int
        var pixels: [[Int]]
        /// Floats across a panel.
        var width: Int
        /// Whether the upper half of the last vector is left out.
        var half = false
    }

    var parts: [Part]

    /// The cheapest tiling by a model of the pipeline: multiply-adds or loads for each `k`, and a fixed cost a tile.
    ///
    /// - Parameters:
    ///   - half: whether the upper half of the last vector is padding.
    ///   - split: what the shares of several threads are made of; the dearest share counts.
    init(pixels: Int, vectors: Int, depth: Int, unit: VectorUnit, half: Bool = false, split: Split? = nil) {
        let tiles = split == .rows ? unit.threads : 1
        func part(_ width: Int, _ panels: Int, half: Bool = false) -> Part? {
            guard panels > 0, width > 0, let limit = Self.pixelLimit(width, unit) else { return nil }
            return Part(
                vectors: width, panels: panels, pixels: Self.split(pixels, limit, tiles), width: width * unit.lanes,
                half: half)
        }
        var best: (cost: Double, parts: [Part])?
        for last in half ? 1...min(vectors, 3) : 0...0 {
            let whole = vectors - last
            for width in 1...max(1, min(whole, 6)) {
                let parts = [part(width, whole / width), part(whole % width, 1), part(last, 1, half: half)]
                    .compactMap { $0 }
                guard parts.reduce(0, { $0 + $1.vectors * $1.panels }) == vectors else { continue }
                let cost = Self.cost(parts, depth, unit, split)
                if best == nil || cost < best!.cost * 0.999 { best = (cost, parts) }
            }
        }
        parts = best!.parts
    }

    /// How `pixels` are cut for panels of the given width: `(size, count)`, larger first.
    static func pieces(_ pixels: Int, vectors: Int, _ unit: VectorUnit) -> [[Int]] {
        split(pixels, pixelLimit(vectors, unit) ?? 1, 1)
    }

    /// C loops over the panels; `body` is given the C expression of a panel's first column.
    func panelLoops(_ body: (_ base: String, _ part: Part) -> String) -> String {
        var text = "", column = 0
        for part in parts {
            text += "    for (long c0 = \(column); c0 < \(column + part.panels * part.width); c0 += \(part.width)) {\n"
            text += body("c0", part) + "    }\n"
            column += part.panels * part.width
        }
        return text
    }

    /// Registers hold the accumulators, one row of weights and one broadcast. Where there are many, wider panels leave some
    /// slack, because compilers hoist loads.
    private static func pixelLimit(_ vectors: Int, _ unit: VectorUnit) -> Int? {
        let slack = unit.registers > 16 ? (vectors > 2 ? 2 : 1) : 0
        let room = unit.registers - 1 - vectors - slack
        let limit = room / vectors
        return limit > 0 ? limit : nil
    }

    /// Equal tiles, none above `limit`; where there are enough pixels, a multiple of `multiple` of them.
    private static func split(_ pixels: Int, _ limit: Int, _ multiple: Int) -> [[Int]] {
        let least = (pixels + limit - 1) / limit, rounded = (least + multiple - 1) / multiple * multiple
        let tiles = rounded <= pixels ? rounded : least
        let size = pixels / tiles, larger = pixels % tiles
        return (larger > 0 ? [[size + 1, larger]] : []) + [[size, tiles - larger]]
    }

    /// The cost of all panels, or of the dearest share of them.
    private static func cost(_ parts: [Part], _ depth: Int, _ unit: VectorUnit, _ split: Split?) -> Double {
        let shares = unit.shares
        func tiles(_ part: Part) -> [Double] {
            part.pixels.flatMap { [Double](repeating: cost($0[0], part, depth, unit), count: $0[1]) }
        }
        switch split {
        case .rows?: return parts.reduce(0.0) { $0 + Double($1.panels) * shares.most(tiles($1)) }
        case .channels?:
            return shares.most(
                parts.flatMap { [Double](repeating: tiles($0).reduce(0, +), count: $0.panels) })
        case nil: return parts.reduce(0.0) { $0 + Double($1.panels) * tiles($1).reduce(0, +) }
        }
    }

    /// The cost of this tiling's dearest share, or of all of it, in cycles by the model.
    func cost(depth: Int, unit: VectorUnit, split: Split?) -> Double { Self.cost(parts, depth, unit, split) }

    private static func cost(_ m: Int, _ part: Part, _ depth: Int, _ unit: VectorUnit) -> Double {
        let n = part.vectors, tile = Double(m * n) - (part.half ? 0.4 * Double(m) : 0)
        let step = unit.loadsInTurn ? tile + Double(m + n + 3) : max(tile, 6, unit.loadCost * Double(m + n))
        return step * Double(depth) + Double(m * n) * 1.5 + 20
    }
}
