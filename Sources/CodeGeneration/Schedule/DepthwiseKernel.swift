/// A run of `pixels` outputs of one row of a depthwise convolution, over all channels.
///
/// Inputs outside the image are left out: columns at either end by the kernel's literal sizes, rows by the range
/// `first ..< last` of taps.
struct DepthwiseKernel: MicroKernel {
    var pixels: Int
    var taps: Int
    var stride: Int
    var dilation = 1
    /// Input columns of the run that lie left and right of the image.
    var missingLeft: Int
    var missingRight: Int
    var pixelStride: Int
    var function = PointwiseFunction.identity
    /// Whether the outputs are also summed by channel.
    var sums = false

    var name: String {
        "dw_\(pixels)_\(taps)s\(stride)\(dilation > 1 ? "d\(dilation)" : "")_\(missingLeft)_\(missingRight)_\(pixelStride)\(function.tag)"
            + (sums ? "_sum" : "")
    }

    func source(_ unit: VectorUnit) -> String {
        var s =
            "MT_KERNEL void \(name)(const float *const *rows, long x, const float *w, const float *b, float *y, long ys, long nv, "
        s += "long first, long last\(sums ? ", float *sum" : ""))\n{\n    for (long c = 0; c < nv; ++c) {\n"
        s += "        V a0 = V_LOAD(b + c * VL)" + (1..<max(pixels, 1)).map { ", a\($0) = a0" }.joined() + ";\n"
        s += "        for (long j = first; j < last; ++j) {\n"
        s += "            const float *q = rows[j] + x + c * VL, *u = w + j * \(taps) * VL;\n            V v;\n"
        let columns = (pixels - 1) * stride + (taps - 1) * dilation + 1
        var products = "", used = Set<Int>()
        for column in missingLeft..<max(missingLeft, columns - missingRight) {
            var uses = ""
            for i in 0..<pixels {
                let offset = column - i * stride
                guard offset >= 0, offset % dilation == 0, offset / dilation < taps else { continue }
                uses += " V_FMA(a\(i), v, u\(offset / dilation));"
                used.insert(offset / dilation)
            }
            if !uses.isEmpty {
                products += "            v = V_LOAD(q + \((column - missingLeft) * pixelStride));\(uses)\n"
            }
        }
        if used.isEmpty {
            s += "            (void)q; (void)u; (void)v;\n"
        } else {
            s +=
                "            const V " + used.sorted().map { "u\($0) = V_LOAD(u + \($0) * VL)" }.joined(separator: ", ")
                + ";\n" + products
        }
        s += "        }\n"
        if function != .identity { for i in 0..<pixels { s += "        a\(i) = \(function("a\(i)"));\n" } }
        for i in 0..<pixels { s += "        V_STORE(y + \(i) * ys + c * VL, a\(i));\n" }
        if sums {
            var terms = (0..<pixels).map { "a\($0)" }
            while terms.count > 1 {
                terms = stride2(terms).map { $0.count == 2 ? "V_ADD(\($0[0]), \($0[1]))" : $0[0] }
            }
            s += "        V_STORE(sum + c * VL, V_ADD(V_LOAD(sum + c * VL), \(terms[0])));\n"
        }
        return s + "        w += \(taps * taps) * VL;\n    }\n}\n"
    }

    private func stride2(_ terms: [String]) -> [[String]] {
        Swift.stride(from: 0, to: terms.count, by: 2).map { Array(terms[$0..<min($0 + 2, terms.count)]) }
    }
}
