/// Winograd's minimal filtering `F(m×m, 3×3)` for `m` 2 or 4: tiles of inputs, filters and outputs are transformed so that the
/// convolution becomes `(m + 2)²` independent matrix products.
///
/// - Source: Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016, sections 4.1 to 4.3.
struct Winograd: Hashable, Sendable {
    /// Outputs on a tile's side.
    var tile: Int

    /// Inputs on a tile's side.
    var side: Int { tile + 2 }
    var positions: Int { side * side }

    /// The rows of `G`, which transforms filters.
    private var filterRows: [[Double]] {
        let sixth = 1.0 / 6, twelfth = 1.0 / 12, part = 1.0 / 24
        let small: [[Double]] = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
        let large: [[Double]] = [
            [0.25, 0, 0], [-sixth, -sixth, -sixth], [-sixth, sixth, -sixth], [part, twelfth, sixth],
            [part, -twelfth, sixth], [0, 0, 1],
        ]
        return tile == 2 ? small : large
    }

    /// `G g Gᵀ` of one 3x3 filter.
    func transform(filter g: ArraySlice<Float>) -> [Float] {
        let rows = filterRows, s = g.startIndex
        var half = [Double](repeating: 0, count: side * 3)
        for i in 0..<side {
            for j in 0..<3 {
                var sum = 0.0
                for k in 0..<3 { sum += rows[i][k] * Double(g[s + k * 3 + j]) }
                half[i * 3 + j] = sum
            }
        }
        var result = [Float](repeating: 0, count: positions)
        for i in 0..<side {
            for j in 0..<side {
                var sum = 0.0
                for k in 0..<3 { sum += half[i * 3 + k] * rows[j][k] }
                result[i * side + j] = Float(sum)
            }
        }
        return result
    }

    /// The transform with the fewest cycles by a model, or `nil` where the direct convolution is as good.
    static func choose(_ x: LayerTensor, _ y: LayerTensor, unit: VectorUnit) -> Winograd? {
        let depth = Double(x.channels), inputs = Double(unit.vectors(x.channels)),
            outputs = Double(unit.vectors(y.channels))
        var best = (cost: Double(y.pixels) * 9 * depth * outputs * 0.9, choice: Winograd?.none)
        for tile in [4, 2] {
            let w = Winograd(tile: tile)
            let tiles = Double(((y.height + tile - 1) / tile) * ((y.width + tile - 1) / tile)), p = Double(w.positions)
            // Multiply-adds; loads, additions and stores of the transforms; bytes of weights from beyond the second cache.
            let weightBytes = p * depth * outputs * Double(unit.lanes) * 4
            let cost = max(tiles * p * depth * outputs + tiles * p * 4.5 * (inputs + outputs), weightBytes / 5)
            if cost < best.cost { best = (cost, w) }
        }
        return best.choice
    }
}

/// `Bᵀ d B` of one tile, for a run of channel vectors.
struct WinogradInputKernel: MicroKernel {
    var winograd: Winograd

    var name: String { "winograd\(winograd.tile)_in" }

    func source(_ unit: VectorUnit) -> String {
        let n = winograd.side
        var s = "MT_KERNEL void \(name)(const float *x, long row, long pixel, float *u, long step, long nv)\n{\n"
        s += "    for (long c = 0; c < nv; ++c, x += VL, u += VL) {\n        V t[\(n * n)];\n"
        s += "        for (long j = 0; j < \(n); ++j) {\n            const float *q = x + j * pixel;\n"
        s += "            V " + (0..<n).map { "d\($0) = V_LOAD(q + \($0) * row)" }.joined(separator: ", ") + ";\n"
        s += transform { "t[\($0 * n) + j] = \($1);" }
        s +=
            "        }\n        for (long i = 0; i < \(n); ++i) {\n            const V *q = t + i * \(n);\n            float *o = u + i * \(n) * step;\n"
        s += "            V " + (0..<n).map { "d\($0) = q[\($0)]" }.joined(separator: ", ") + ";\n"
        s += transform { "V_STORE(o + \($0) * step, \($1));" }
        return s + "        }\n    }\n}\n"
    }

    private func transform(_ store: (Int, String) -> String) -> String {
        let lines: [String]
        if winograd.tile == 2 {
            lines = [
                store(0, "V_SUB(d0, d2)"), store(1, "V_ADD(d1, d2)"), store(2, "V_SUB(d2, d1)"),
                store(3, "V_SUB(d1, d3)"),
            ]
        } else {
            lines = [
                "V e0 = d4, e1 = d3, e2 = V_SUB(d4, d2), e3 = V_SUB(d3, d1), e4 = V_ADD(d4, V_SCALE(d0, 4.0f)), e5 = V_ADD(d5, V_SCALE(d1, 4.0f));",
                "V_FMAS(e0, -4.0f, d2); V_FMAS(e1, -4.0f, d1); V_FMAS(e4, -5.0f, d2); V_FMAS(e5, -5.0f, d3);",
                "e3 = V_ADD(e3, e3);",
                store(0, "e4"), store(1, "V_ADD(e0, e1)"), store(2, "V_SUB(e0, e1)"), store(3, "V_ADD(e2, e3)"),
                store(4, "V_SUB(e2, e3)"), store(5, "e5"),
            ]
        }
        return lines.map { "            \($0)\n" }.joined()
    }
}

/// `f(Aᵀ m A + b (+ r))` of one tile, for `vectors` vectors of output channels.
struct WinogradOutputKernel: MicroKernel {
    var winograd: Winograd
    var vectors: Int
    var function: PointwiseFunction
    var residual: Bool

    var name: String { "winograd\(winograd.tile)_out\(vectors)\(function.tag)\(residual ? "_add" : "")" }

    func source(_ unit: VectorUnit) -> String {
        let n = winograd.side, m = winograd.tile
        var s =
            "MT_KERNEL void \(name)(const float *x, long step, const float *b, \(residual ? "const float *r, long rrow, long rpixel, " : "")"
        s += "float *y, long row, long pixel, long height, long width)\n{\n"
        s += "    for (long c = 0; c < \(vectors); ++c, x += VL, y += VL, b += VL\(residual ? ", r += VL" : "")) {\n"
        s += "        V t[\(m * n)], bias = V_LOAD(b);\n"
        s += "        for (long j = 0; j < \(n); ++j) {\n            const float *q = x + j * step;\n"
        s += "            V " + (0..<n).map { "d\($0) = V_LOAD(q + \($0 * n) * step)" }.joined(separator: ", ") + ";\n"
        s += transform(bias: nil) { "t[\($0 * n) + j] = \($1);" }
        s +=
            "        }\n        for (long i = 0; i < height; ++i) {\n            const V *q = t + i * \(n);\n            float *o = y + i * row;\n"
        if residual { s += "            const float *e = r + i * rrow;\n" }
        s += "            V " + (0..<n).map { "d\($0) = q[\($0)]" }.joined(separator: ", ") + ";\n"
        s += transform(bias: "bias") {
            let sum = residual ? "V_ADD(\($1), V_LOAD(e + \($0) * rpixel))" : $1
            return ($0 == 0 ? "" : "if (width > \($0)) ") + "V_STORE(o + \($0) * pixel, \(function(sum)));"
        }
        return s + "        }\n    }\n}\n"
    }

    private func transform(bias: String?, _ store: (Int, String) -> String) -> String {
        let b: (String) -> String = { value in bias.map { "V_ADD(\(value), \($0))" } ?? value }
        let lines: [String]
        if winograd.tile == 2 {
            lines = [
                "V e0 = V_ADD(d1, d2), e1 = V_SUB(d1, d2);", store(0, b("V_ADD(d0, e0)")), store(1, b("V_SUB(e1, d3)")),
            ]
        } else {
            lines = [
                "V e0 = V_ADD(d1, d2), e1 = V_SUB(d1, d2), e2 = V_ADD(d3, d4), e3 = V_SUB(d3, d4), e4 = e0, e5 = e1, e6 = V_ADD(e1, d5);",
                "V_FMAS(e5, 2.0f, e3); V_FMAS(e4, 4.0f, e2); V_FMAS(e6, 8.0f, e3);", "e0 = V_ADD(V_ADD(d0, e0), e2);",
                store(0, b("e0")), store(1, b("e5")), store(2, b("e4")), store(3, b("e6")),
            ]
        }
        return lines.map { "            \($0)\n" }.joined()
    }
}
