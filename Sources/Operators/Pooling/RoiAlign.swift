import IR

/// Regions of an image pooled to a common size from interpolated samples.
///
/// Regions are `[left, top, right, bottom]` in the coordinates of the original picture, which is the image scaled up by
/// `1 / scale`.
///
/// - Shapes: `x: [N, C, H, W], regions: [R, 4], images: i64 [R] → y: [R, C, size…]`.
/// - Source: He et al., *Mask R-CNN*, ICCV 2017, section 3.
public struct RoiAlign: Operator {
    public static let mnemonic = "roi_align"
    public var size = [1, 1]
    public var scale = 1.0
    /// Samples along each side of a cell; 0 takes as many as the cell has pixels, rounded up.
    public var samples = 0
    public var takesMaximum = false
    /// Whether pixels have their centres at halves, so that regions are shifted by half a pixel.
    public var isHalfPixel = true

    public init() {}
    public init(size: [Int], scale: Double = 1, samples: Int = 0, takesMaximum: Bool = false, isHalfPixel: Bool = true)
    {
        self.size = size
        self.scale = scale
        self.samples = samples
        self.takesMaximum = takesMaximum
        self.isHalfPixel = isHalfPixel
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(3, for: self), image = try x[0].requireFloat(for: self).require(rank: 4, for: self)
        try x[2].requireIndices(for: self)
        guard x[1].element == image.element, x[1].rank == 2, x[1].shape[1] == 4, x[2].shape == [x[1].shape[0]],
            size.count == 2,
            size.allSatisfy({ $0 > 0 }), samples >= 0, image.count > 0
        else {
            throw ShapeError("roi_align: regions \(x[1]) and images \(x[2]) do not fit \(image) and cells of \(size)")
        }
        return [image.with(shape: [x[1].shape[0], image.shape[1]] + size)]
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let image = x[0].reals, regions = x[1].reals, which = x[2].integers
        let (channels, h, w) = (x[0].shape[1], x[0].shape[2], x[0].shape[3]), shift: R = isHalfPixel ? 0.5 : 0
        var result: [R] = []
        for r in 0..<x[1].shape[0] {
            let at = nearest(which[r], x[0].shape[0])
            let box = (0..<4).map { regions[r * 4 + $0] * R(scale) - shift }
            var (width, height) = (box[2] - box[0], box[3] - box[1])
            if !isHalfPixel { (width, height) = (max(width, 1), max(height, 1)) }
            let cell = (height / R(size[0]), width / R(size[1]))
            func count(_ length: R) -> Int { samples > 0 ? samples : min(max(Int(length.rounded(.up)), 1), 1 << 12) }
            let (rows, columns) = (count(cell.0), count(cell.1))
            for c in 0..<channels {
                let plane = (at * channels + c) * h * w
                for i in 0..<size[0] {
                    for j in 0..<size[1] {
                        var (sum, top) = (R(0), -R.infinity)
                        for p in 0..<rows {
                            for q in 0..<columns {
                                let v = box[1] + R(i) * cell.0 + (R(p) + R(0.5)) * cell.0 / R(rows)
                                let u = box[0] + R(j) * cell.1 + (R(q) + R(0.5)) * cell.1 / R(columns)
                                let reads = Self.reads(v, u, h, w).map { image[plane + $0] * $1 }
                                sum += reads.reduce(0, +)
                                // The maximum is over the weighted pixels, as ONNX Runtime and the cases have it.
                                top = max(top, reads.max() ?? 0)
                            }
                        }
                        result.append(takesMaximum ? top : sum / R(rows * columns))
                    }
                }
            }
        }
        return [ReferenceTensor(y[0], result)]
    }
    /// The four pixels around a position and their weights; none when it lies outside.
    private static func reads<R: Scalar>(_ v: R, _ u: R, _ h: Int, _ w: Int) -> [(Int, R)] {
        guard v >= -1, v <= R(h), u >= -1, u <= R(w) else { return [] }
        func line(_ x: R, _ size: Int) -> (low: Int, high: Int, part: R) {
            let x = max(x, 0), low = Int(x)
            return low >= size - 1 ? (size - 1, size - 1, 0) : (low, low + 1, x - R(low))
        }
        let y = line(v, h), x = line(u, w)
        return [
            (y.low * w + x.low, (1 - y.part) * (1 - x.part)), (y.low * w + x.high, (1 - y.part) * x.part),
            (y.high * w + x.low, y.part * (1 - x.part)), (y.high * w + x.high, y.part * x.part),
        ]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { y[0].count * max(samples * samples, 1) * 4 }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        var m = CMath(x[0].element)
        let type = x[0].element.cType, (channels, h, w) = (x[0].shape[1], x[0].shape[2], x[0].shape[3])
        let (zero, one, half, shift) = (m.literal(0), m.literal(1), m.literal(0.5), m.literal(isHalfPixel ? 0.5 : 0))
        func count(_ name: String, _ cell: String, _ m: inout CMath) -> String {
            if samples > 0 { return "const ptrdiff_t \(name) = \(samples);" }
            let up = m.call("ceil", cell)
            return
                "const ptrdiff_t \(name) = \(cell) > \(m.literal(4096)) ? 4096 : \(cell) > \(one) ? (ptrdiff_t)\(up) : 1;"
        }
        let (rows, columns) = (count("rows", "cv", &m), count("columns", "cu", &m))
        let atLeast =
            isHalfPixel ? "" : "if (width < \(one)) width = \(one);\n    if (height < \(one)) height = \(one);"
        let pixels = [
            ("vl * \(w) + ul", "(\(one) - pv) * (\(one) - pu)"), ("vl * \(w) + uh", "(\(one) - pv) * pu"),
            ("vh * \(w) + ul", "pv * (\(one) - pu)"), ("vh * \(w) + uh", "pv * pu"),
        ]
        let update =
            takesMaximum
            ? pixels.map { "{ const \(type) e = x[\($0)] * (\($1)); if (e > acc) acc = e; }" }.joined(separator: " ")
            : "acc += " + pixels.map { "x[\($0)] * (\($1))" }.joined(separator: " + ") + ";"
        return CBody(
            """
            size_t o = 0;
            for (size_t r = 0; r < \(x[1].shape[0]); ++r) {
                \(nearestText("n", "x2[r]", x[0].shape[0]))
                const \(type) left = x1[r * 4] * \(m.literal(scale)) - \(shift), top = x1[r * 4 + 1] * \(m.literal(scale)) - \(shift);
                \(type) width = x1[r * 4 + 2] * \(m.literal(scale)) - \(shift) - left, height = x1[r * 4 + 3] * \(m.literal(scale)) - \(shift) - top;
                \(atLeast)
                const \(type) cv = height / \(m.literal(Double(size[0]))), cu = width / \(m.literal(Double(size[1])));
                \(rows)
                \(columns)
                for (size_t c = 0; c < \(channels); ++c) {
                    const \(type) *x = x0 + ((size_t)n * \(channels) + c) * \(h * w);
                    for (size_t i = 0; i < \(size[0]); ++i)
                        for (size_t j = 0; j < \(size[1]); ++j) {
                            \(type) acc = \(takesMaximum ? "-INFINITY" : zero);
                            for (ptrdiff_t p = 0; p < rows; ++p)
                                for (ptrdiff_t q = 0; q < columns; ++q) {
                                    \(type) v = top + (\(type))i * cv + ((\(type))p + \(half)) * cv / (\(type))rows;
                                    \(type) u = left + (\(type))j * cu + ((\(type))q + \(half)) * cu / (\(type))columns;
                                    if (!(v >= -\(one) && v <= \(m.literal(Double(h))) && u >= -\(one) && u <= \(m.literal(Double(w))))) {
                                        \(takesMaximum ? "if (acc < \(zero)) acc = \(zero);" : "")
                                        continue;
                                    }
                                    v = v > \(zero) ? v : \(zero);
                                    u = u > \(zero) ? u : \(zero);
                                    ptrdiff_t vl = (ptrdiff_t)v, ul = (ptrdiff_t)u, vh = vl + 1, uh = ul + 1;
                                    \(type) pv = v - (\(type))vl, pu = u - (\(type))ul;
                                    if (vl >= \(h - 1)) { vl = vh = \(h - 1); pv = \(zero); }
                                    if (ul >= \(w - 1)) { ul = uh = \(w - 1); pu = \(zero); }
                                    \(update)
                                }
                            y0[o++] = \(takesMaximum ? "acc" : "acc / (\(type))(rows * columns)");
                        }
                }
            }

            """, mathFunctions: m.functions)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        guard x[2].element == .i64 else { return nil }
        return ONNXForm(
            "RoiAlign", since: 16,
            attributes: [
                ("output_height", .int(size[0])), ("output_width", .int(size[1])),
                ("spatial_scale", .float(Float(scale))),
                ("sampling_ratio", .int(samples)), ("mode", .string(takesMaximum ? "max" : "avg")),
                ("coordinate_transformation_mode", .string(isHalfPixel ? "half_pixel" : "output_half_pixel")),
            ])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("RoiAlign", versions: 10...21) { node, g throws(ONNXImportError) in
                let mode = try node.string(
                    "coordinate_transformation_mode", default: node.opset < 16 ? "output_half_pixel" : "half_pixel")
                let op = RoiAlign(
                    size: [try node.int("output_height", default: 1), try node.int("output_width", default: 1)],
                    scale: try node.float("spatial_scale", default: 1),
                    samples: try node.int("sampling_ratio", default: 0),
                    takesMaximum: try node.string("mode", default: "avg") == "max", isHalfPixel: mode == "half_pixel")
                return [try g.apply(op, node.required(0), node.required(1), node.required(2), name: node.name)]
            }
        ]
    }

    public static let specimens: [Specimen] = {
        return [
            RoiAlign(size: [2, 2], samples: 2), RoiAlign(size: [2, 3], scale: 0.5, isHalfPixel: false),
            RoiAlign(size: [1, 2], samples: 1, takesMaximum: true),
        ].map {
            Specimen(
                $0,
                operands: [
                    .uniform(.f32(2, 2, 5, 5), -2...2), .uniform(.f32(3, 4), -1...5), .literal(Literal([0, 1, 0])),
                ], differentiable: false)
        }
    }()
}
