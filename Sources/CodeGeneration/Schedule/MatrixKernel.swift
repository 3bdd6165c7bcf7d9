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
    /// Vectors of one row of weights, when they are not packed to `vectors`.
    var looseWeights = false

    var name: String {
        let kind =
            switch taps {
            case .none: "mm";
            case .outer: "conv";
            case .flat: "stem"
            }
        return
            "\(kind)_\(pixels)x\(vectors)_\(pixelStride)\(function.tag)\(residual ? "_add" : "")\(looseWeights ? "_loose" : "")"
            + (prefetches == 1 ? "" : "_pf\(prefetches)")
    }

    func source(_ unit: VectorUnit) -> String {
        let tap = taps == .none ? "" : ", const int *taps, long nt"
        let rows = 0..<pixels, columns = 0..<vectors
        var s =
            "MT_KERNEL void \(name)(const float *x, const float *w, const float *b, \(residual ? "const float *r, long rs, " : "")"
        s += "float *y, long kk, long ys, const float *pf\(tap)\(looseWeights ? ", long ws" : ""))\n{\n"
        if pixels == 1 { s += "    (void)ys;\(residual ? " (void)rs;" : "")\n" }
        for n in columns { s += "    V b\(n) = V_LOAD(b + \(n) * VL);\n" }
        for m in rows { s += "    V " + columns.map { "a\(m)_\($0) = b\($0)" }.joined(separator: ", ") + ";\n" }
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
        s += "        V " + columns.map { "w\($0) = V_LOAD(w + \($0) * VL)" }.joined(separator: ", ") + ";\n"
        s += "        float s;\n"
        for j in 0..<prefetches { s += "        MT_PREFETCH(pf + \(j) * VL);\n" }
        s += prefetches > 0 ? "        pf += \(prefetches) * VL;\n" : "        (void)pf;\n"
        s += "        w += \(looseWeights ? "ws" : "\(vectors) * VL");\n"
        for m in rows {
            s +=
                "        s = \(address(m)); " + columns.map { "V_FMAS(a\(m)_\($0), s, w\($0));" }.joined(separator: " ")
                + "\n"
        }
        s += taps == .outer ? "    }\n    }\n" : "    }\n"
        for m in rows {
            for n in columns {
                if residual { s += "    a\(m)_\(n) = V_ADD(a\(m)_\(n), V_LOAD(r + \(n) * VL));\n" }
                s += "    V_STORE(y + \(n) * VL, \(function("a\(m)_\(n)")));\n"
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
    }

    var parts: [Part]

    /// The cheapest tiling by a model of the pipeline: multiply-adds or loads for each `k`, and a fixed cost a tile.
    init(pixels: Int, vectors: Int, depth: Int, unit: VectorUnit) {
        var best: (cost: Double, parts: [Part])?
        for width in 1...min(vectors, 6) {
            guard let limit = Self.pixelLimit(width, unit) else { continue }
            var parts = [Part(vectors: width, panels: vectors / width, pixels: Self.split(pixels, limit))]
            let rest = vectors % width
            if rest > 0, let limit = Self.pixelLimit(rest, unit) {
                parts.append(Part(vectors: rest, panels: 1, pixels: Self.split(pixels, limit)))
            }
            let cost = parts.reduce(0.0) { sum, part in
                sum + Double(part.panels)
                    * part.pixels.reduce(0.0) { $0 + Double($1[1]) * Self.cost($1[0], part.vectors, depth) }
            }
            if best == nil || cost < best!.cost * 0.999 { best = (cost, parts) }
        }
        parts = best!.parts
    }

    /// Registers hold the accumulators, one row of weights and one broadcast. Wider panels leave some slack, because
    /// compilers hoist loads.
    private static func pixelLimit(_ vectors: Int, _ unit: VectorUnit) -> Int? {
        let room = unit.registers - 2 - vectors - (vectors > 2 ? 1 : 0)
        let limit = room / vectors
        return limit > 0 ? limit : nil
    }

    /// Equal shares, none above `limit`.
    private static func split(_ pixels: Int, _ limit: Int) -> [[Int]] {
        let tiles = (pixels + limit - 1) / limit
        let size = pixels / tiles, larger = pixels % tiles
        return (larger > 0 ? [[size + 1, larger]] : []) + [[size, tiles - larger]]
    }

    private static func cost(_ m: Int, _ n: Int, _ depth: Int) -> Double {
        let step = max(Double(m * n), 6, 0.75 * Double(m + n))
        return step * Double(depth) + Double(m * n) * 1.5 + 20
    }
}
