import IR
import Operators

/// Functions of whole rows: softmax along the last dimension, and layer normalisation over it.
struct RowKernel: ScheduledKernel {
    static let name = "rows"

    static func takes(_ op: any Operator, _ x: [TensorType], _ y: TensorType) -> Bool {
        guard let image = x.first, image.element == .f32, image.rank > 0, image.count > 0 else { return false }
        switch op {
        case let op as Softmax: return op.axis == -1 || op.axis == image.rank - 1
        default: return layerNorm(op, image.rank) != nil
        }
    }

    /// The epsilon of a layer normalisation over the last dimension.
    private static func layerNorm(_ op: any Operator, _ rank: Int) -> Double? {
        guard op.mnemonic == "layer_norm", let attributes = try? op.attributes() else { return nil }
        var epsilon = 1e-5
        for attribute in attributes {
            switch (attribute.name, attribute.value) {
            case ("axis", .integer(let axis)): if axis != -1 && axis != rank - 1 { return nil }
            case ("epsilon", .real(let value)): epsilon = value
            default: return nil
            }
        }
        return epsilon
    }

    static func code(for site: NodeSite) throws(ExportError) -> NodeCode {
        let unit = try site.unit(), type = site.operands[0], lanes = unit.lanes
        guard takes(site.node.op, site.operands, site.results[0]) else {
            throw ExportError(.invalid, "kernel 'rows' does not know \(site.node.op.mnemonic) of these types")
        }
        let length = type.shape[type.rank - 1], rows = type.count / length, whole = unit.vectors(length) * lanes
        // Rows that end within a vector are worked on in scratch memory, whose tail is filled so that it does not count.
        let padded = length % lanes != 0
        func fill(_ value: String) -> String {
            padded ? "    for (long i = \(length); i < \(whole); ++i) t[i] = \(value);\n" : ""
        }
        let share = unit.shares.range(rows)
        var text = "for (long r = \(share.first); r < \(share.end); ++r) {\n"
        if padded {
            let own = unit.threads > 1 ? "(float *)scratch + part * \(whole)" : "scratch"
            text += "    float *const t = \(own);\n    const float *const q = t;\n    float *const o = t;\n"
            text += "    memcpy(t, x0 + r * \(length), \(length * 4));\n"
        } else {
            text += "    const float *const q = x0 + r * \(length);\n    float *const o = y0 + r * \(length);\n"
        }
        text += "    V s, m;\n"
        var math: [String] = []
        switch site.node.op {
        case is Softmax:
            text +=
                fill("-3.0e38f") + """
                        m = V_LOAD(q);
                        for (long i = VL; i < \(whole); i += VL) m = v_max(m, V_LOAD(q + i));
                        m = V_SPLAT(v_largest(m));
                        s = V_ZERO;
                        for (long i = 0; i < \(whole); i += VL) {
                            const V e = v_exp2(V_SCALE(V_SUB(V_LOAD(q + i), m), 1.442695041f));
                            s = V_ADD(s, e);
                            V_STORE(o + i, e);
                        }
                        m = V_SPLAT(1.0f / v_total(s));
                        for (long i = 0; i < \(whole); i += VL) V_STORE(o + i, V_MUL(V_LOAD(o + i), m));

                    """
        default:
            math = ["sqrtf"]
            text += "    float a;\n"
            let share = (1 / Float(length)).cLiteral
            text +=
                fill("0.0f") + """
                        s = V_ZERO;
                        for (long i = 0; i < \(whole); i += VL) s = V_ADD(s, V_LOAD(q + i));
                        a = v_total(s) * \(share);
                        m = V_SPLAT(a);

                    """ + fill("a") + """
                        s = V_ZERO;
                        for (long i = 0; i < \(whole); i += VL) {
                            const V d = V_SUB(V_LOAD(q + i), m);
                            V_FMA(s, d, d);
                        }
                        a = 1.0f / sqrtf(v_total(s) * \(share) + \(Float(layerNorm(site.node.op, type.rank) ?? 0).cLiteral));
                        for (long i = 0; i < \(length - length % lanes); i += VL) {
                            V d = V_MUL(V_SCALE(V_SUB(V_LOAD(q + i), m), a), V_LOAD(x1 + i));
                            \(site.operands.count == 3 ? "d = V_ADD(d, V_LOAD(x2 + i));" : "")
                            V_STORE(o + i, d);
                        }

                    """
            if padded {
                let bias = site.operands.count == 3 ? " + x2[i]" : ""
                text += "    for (long i = \(length - length % lanes); i < \(length); ++i) "
                text += "o[i] = (q[i] - V_LANE(m, 0)) * a * x1[i]\(bias);\n"
            }
        }
        if padded { text += "    memcpy(y0 + r * \(length), t, \(length * 4));\n" }
        text += "}\n"
        return NodeCode(
            CBody(text, mathFunctions: math, scratchBytes: padded ? whole * 4 * unit.threads : 0),
            support: [NodeCode.Fragment("vector\(lanes)", VectorPrelude.text(lanes))], shares: unit.threads)
    }
}

/// Matrix products of two values that are both computed: the right one is packed into panels first, batch by batch.
struct BatchedProductKernel: ScheduledKernel {
    static let name = "batched_product"

    static func takes(_ op: any Operator, _ x: [TensorType], _ y: TensorType) -> Bool {
        guard let op = op as? MatMul, !op.transposesA, x.count == 2,
            x.allSatisfy({ $0.element == .f32 && $0.rank >= 2 && $0.count > 0 }),
            x[0].shape.dropLast(2) == x[1].shape.dropLast(2)
        else { return false }
        // Small products are not worth packing.
        return x[0].shape[x[0].rank - 2] >= 4
    }

    static func code(for site: NodeSite) throws(ExportError) -> NodeCode {
        let unit = try site.unit(), lanes = unit.lanes
        guard let op = site.node.op as? MatMul, takes(op, site.operands, site.results[0]),
            let d = try? op.dimensions(site.operands)
        else {
            throw ExportError(
                .invalid, "kernel 'batched_product' does not know \(site.node.op.mnemonic) of these types")
        }
        let batches = d.batch.reduce(1, *), vectors = unit.vectors(d.n)
        let tiling = Tiling(pixels: d.m, vectors: vectors, depth: d.k, unit: unit)
        var library = KernelLibrary(unit)
        let copies = d.n % lanes != 0
        let widest = tiling.parts.map(\.vectors).max()! * lanes
        // Each share has a panel of its own, and room for its result where that ends within a vector.
        let own = (widest * (d.k + (copies ? d.m : 0)) + 15) / 16 * 16
        let at = unit.threads > 1 ? "(float *)scratch + part * \(own)" : "scratch"
        var text = "static const float zero[\(widest)] = {0};\nfloat *const panel = \(at);\n"
        if copies { text += "float *const result = panel + \(widest * d.k);\n" }
        var channel = 0
        for part in tiling.parts {
            let width = part.vectors * lanes, share = unit.shares.range(batches * part.panels),
                ys = copies ? width : d.n
            text += "{\n    for (long each = \(share.first); each < \(share.end); ++each) {\n"
            text +=
                "        const long batch = each / \(part.panels), c = \(channel) + each % \(part.panels) * \(width);\n"
            text += "        const float *const a = x0 + batch * \(d.m * d.k), *const b = x1 + batch * \(d.k * d.n);\n"
            text += "        float *const y = \(copies ? "result" : "y0 + batch * \(d.m * d.n) + c");\n"
            text +=
                "        const long n = \(d.n) - c < \(width) ? \(d.n) - c : \(width);\n        for (long k = 0; k < \(d.k); ++k) {\n"
            text +=
                op.transposesB
                ? "            for (long i = 0; i < n; ++i) panel[k * \(width) + i] = b[(c + i) * \(d.k) + k];\n"
                : "            for (long i = 0; i < n; ++i) panel[k * \(width) + i] = b[k * \(d.n) + c + i];\n"
            text += "            for (long i = n; i < \(width); ++i) panel[k * \(width) + i] = 0.0f;\n        }\n"
            var row = 0
            for piece in part.pixels {
                let name = library.use(
                    MatrixKernel(pixels: piece[0], vectors: part.vectors, pixelStride: d.k, prefetches: 0))
                text +=
                    "        for (long i = 0; i < \(piece[1]); ++i) \(name)(a + (\(row) + i * \(piece[0])) * \(d.k), panel, zero, "
                text += "y + (\(row) + i * \(piece[0])) * \(ys), \(d.k), \(ys), panel);\n"
                row += piece[0] * piece[1]
            }
            if copies {
                text += "        for (long i = 0; i < \(d.m); ++i) "
                text += "memcpy(y0 + (batch * \(d.m) + i) * \(d.n) + c, result + i * \(width), (size_t)n * 4);\n"
            }
            text += "    }\n}\n"
            channel += width * part.panels
        }
        var support = [NodeCode.Fragment("vector\(lanes)", VectorPrelude.text(lanes))]
        for kernel in library.kernels { support.append(NodeCode.Fragment(kernel.name, kernel.source)) }
        return NodeCode(CBody(text, scratchBytes: own * unit.threads * 4), support: support, shares: unit.threads)
    }
}
