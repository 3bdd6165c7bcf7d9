import IR
import Operators

/// ``Attention``, a head and a run of queries at a time: their scores, the softmax and the mix of values stay in the cache.
///
/// Keys and values are packed once a head. The scale and the change to powers of two go into the keys; the sums of the
/// softmax divide the results, which are shorter than the scores.
struct AttentionKernel: ScheduledKernel {
    static let name = "attention"

    static func takes(_ op: Attention, _ x: [TensorType], _ unit: VectorUnit) -> Bool {
        guard x.count == 1, x[0].element == .f32, let d = try? op.dimensions(x[0]) else { return false }
        return d.channels % unit.lanes == 0 && x[0].count > 0
    }

    static func code(for site: NodeSite) throws(ExportError) -> NodeCode {
        let unit = try site.unit(), lanes = unit.lanes
        guard let op = site.node.op as? Attention, takes(op, site.operands, unit),
            let d = try? op.dimensions(site.operands[0])
        else {
            throw ExportError(.invalid, "kernel 'attention' does not know \(site.node.op.mnemonic) of these types")
        }
        let (rows, depth) = (d.rows, d.channels), across = op.heads * depth, step = 3 * across
        let keys = unit.vectors(rows) * lanes
        // As many queries as keep their scores in half of the first cache, in equal shares.
        let most = max(1, min(rows, 32, unit.l1 / 2 / (keys * 4)))
        // In equal runs, as many for each thread: every one packs the keys and values for itself, and takes its runs.
        let least = (rows + most - 1) / most, wanted = (least + unit.threads - 1) / unit.threads * unit.threads
        let share = (rows + wanted - 1) / wanted
        let scoring = Tiling(pixels: share, vectors: keys / lanes, depth: depth, unit: unit)
        let mixing = Tiling(pixels: share, vectors: depth / lanes, depth: rows, unit: unit)
        var library = KernelLibrary(unit)
        var memory = Scratch()
        let key = memory.reserve(keys * depth), value = memory.reserve(rows * depth), bias = memory.reserve(keys)
        let score = memory.reserve(share * keys), factor = memory.reserve(share)

        var text = """
            static const float zero[\(depth)] = {0};
            float *const own = \(unit.threads > 1 ? "(float *)scratch + part * \(memory.floats)" : "scratch");
            float *const key = own + \(key), *const value = own + \(value), *const bias = own + \(bias);
            float *const score = own + \(score), *const factor = own + \(factor);
            /* Keys that only fill a vector weigh nothing. */
            for (long i = 0; i < \(keys); ++i) bias[i] = i < \(rows) ? 0.0f : -1.0e30f;
            for (long head = 0; head < \(d.batch * op.heads); ++head) {
                const float *const q = x0 + head / \(op.heads) * \(rows * step) + head % \(op.heads) * \(depth);
                float *const y = y0 + head / \(op.heads) * \(rows * across) + head % \(op.heads) * \(depth);

            """
        let scale = Float(op.scale * 1.4426950408889634).cLiteral
        text += pack(scoring) { base, width in
            """
            for (long c = 0; c < \(width); ++c) {
                float *const o = key + \(base) * \(depth) + c;
                const float *const k = q + \(across) + (\(base) + c) * \(step);
                if (\(base) + c < \(rows)) for (long i = 0; i < \(depth); ++i) o[i * \(width)] = k[i] * \(scale);
                else for (long i = 0; i < \(depth); ++i) o[i * \(width)] = 0.0f;
            }
            """
        }
        text += pack(mixing) { base, width in
            """
            for (long t = 0; t < \(rows); ++t)
                for (long c = 0; c < \(width); c += VL)
                    V_STORE(value + \(base) * \(rows) + t * \(width) + c, V_LOAD(q + \(2 * across) + t * \(step) + \(base) + c));
            """
        }
        var first = 0, run = 0
        let cuts = unit.shares.cuts(
            stride(from: 0, to: rows, by: share).map { Double(min(share, rows - $0)) })
        if unit.threads > 1 {
            text += "    static const int cuts[\(cuts.count)] = {\(cuts.map(String.init).joined(separator: ", "))};\n"
        }
        while first < rows {
            let count = min(share, rows - first)
            // Equal runs share one loop.
            let runs = count == share ? (rows - first) / share : 1
            if unit.threads > 1 {
                text +=
                    "    for (long k = mt_most(cuts[part] - \(run), 0); k < mt_least(cuts[part + 1] - \(run), \(runs)); ++k) {\n"
                text += "        const long t = \(first) + k * \(count);\n"
            } else {
                text += "    for (long t = \(first); t < \(first + runs * count); t += \(count)) {\n"
            }
            run += runs
            text += products(
                scoring, pixels: count, depth: depth, x: "q + t * \(step)", xStride: step, w: "key", b: "bias",
                y: "score", yStride: keys, unit, &library)
            text += """
                        for (long r = 0; r < \(count); ++r) {
                            float *const s = score + r * \(keys);
                            V m = V_LOAD(s), sum = V_ZERO;
                            for (long i = VL; i < \(keys); i += VL) m = v_max(m, V_LOAD(s + i));
                            m = V_SPLAT(v_largest(m));
                            for (long i = 0; i < \(keys); i += VL) {
                                const V e = v_exp2(V_SUB(V_LOAD(s + i), m));
                                sum = V_ADD(sum, e);
                                V_STORE(s + i, e);
                            }
                            factor[r] = 1.0f / v_total(sum);
                        }

                """
            text += products(
                mixing, pixels: count, depth: rows, x: "score", xStride: keys, w: "value", b: "zero",
                y: "y + t * \(across)", yStride: across, unit, &library)
            text += """
                        for (long r = 0; r < \(count); ++r)
                            for (long c = 0; c < \(depth); c += VL) {
                                float *const o = y + (t + r) * \(across) + c;
                                V_STORE(o, V_SCALE(V_LOAD(o), factor[r]));
                            }
                    }

                """
            first += runs * count
        }
        text += "}\n"
        var support = [NodeCode.Fragment("vector\(lanes)", VectorPrelude.text(lanes))]
        for kernel in library.kernels { support.append(NodeCode.Fragment(kernel.name, kernel.source)) }
        return NodeCode(
            CBody(text, scratchBytes: memory.floats * 4 * unit.threads), support: support, shares: unit.threads)
    }

    /// The loops that pack panel by panel; `body` makes the panel of `width` columns from column `base` on.
    private static func pack(_ tiling: Tiling, _ body: (_ base: String, _ width: Int) -> String) -> String {
        tiling.panelLoops { base, part in
            let lines = body(base, part.width).split(separator: "\n").map { "        \($0)\n" }
            return lines.joined()
        }
    }

    private static func products(
        _ tiling: Tiling, pixels: Int, depth: Int, x: String, xStride: Int, w: String, b: String, y: String,
        yStride: Int, _ unit: VectorUnit, _ library: inout KernelLibrary
    ) -> String {
        var used = library
        defer { library = used }
        return tiling.panelLoops { base, part in
            var text = "", row = 0
            for piece in Tiling.pieces(pixels, vectors: part.vectors, unit) {
                let name = used.use(
                    MatrixKernel(pixels: piece[0], vectors: part.vectors, pixelStride: xStride, prefetches: 0))
                text +=
                    "        for (long i = 0; i < \(piece[1]); ++i)\n            \(name)(\(x) + (\(row) + i * \(piece[0])) * \(xStride), "
                text +=
                    "\(w) + (\(base)) * \(depth), \(b) + \(base), \(y) + (\(row) + i * \(piece[0])) * \(yStride) + \(base), "
                text += "\(depth), \(yStride), \(w));\n"
                row += piece[0] * piece[1]
            }
            return text
        }
    }
}

/// Blocks of scratch memory, each at a multiple of a cache line.
struct Scratch {
    private(set) var floats = 0

    /// The offset of a new block.
    mutating func reserve(_ count: Int) -> Int {
        defer { floats += (count + 15) / 16 * 16 }
        return floats
    }
}
