import IR

/// An image read at positions that a grid gives, as ONNX's `GridSample` for two or three spatial dimensions.
///
/// Positions run from -1 to 1, in the order x, y(, z). Outside the image there are zeros, its border, or its reflection.
///
/// - Shapes: `x: [N, C, D1…Dn], grid: [N, O1…On, n] → y: [N, C, O1…On]`.
/// - Source: Jaderberg et al., *Spatial Transformer Networks*, NeurIPS 2015.
public struct GridSample: Operator {
    public enum Mode: String, Codable, Hashable, Sendable { case linear, nearest, cubic }
    public enum Padding: String, Codable, Hashable, Sendable { case zeros, border, reflection }

    public static let mnemonic = "grid_sample"
    public var mode = Mode.linear
    public var padding = Padding.zeros
    public var alignsCorners = false

    public init() {}
    public init(_ mode: Mode, padding: Padding = .zeros, alignsCorners: Bool = false) {
        self.mode = mode
        self.padding = padding
        self.alignsCorners = alignsCorners
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(2, for: self), image = try x[0].requireFloat(for: self), n = image.rank - 2
        guard n == 2 || n == 3, x[1].element == image.element, x[1].rank == n + 2, x[1].shape[0] == image.shape[0],
            x[1].shape.last == n, image.shape[2...].allSatisfy({ $0 > 0 })
        else {
            throw ShapeError("grid_sample: the grid \(x[1]) does not fit the image \(image)")
        }
        return [image.with(shape: Array(image.shape[..<2]) + x[1].shape[1..<(n + 1)])]
    }

    // MARK: Along one dimension

    private func reflected<R: Scalar>(_ x: R, _ size: Int) -> R {
        let (low, high) = alignsCorners ? (R(0), R(size - 1)) : (R(-0.5), R(size) - R(0.5))
        let range = high - low
        if range <= 0 { return 0 }
        // The distance from the low end along the folded line of twice the range.
        let distance = abs(x - low).truncatingRemainder(dividingBy: 2 * range)
        return low + (distance > range ? 2 * range - distance : distance)
    }
    /// Source indices (nil outside, where there are zeros) and weights of a position from -1 to 1.
    private func taps<R: Scalar>(_ position: R, _ size: Int) -> [(Int?, R)] {
        var x = alignsCorners ? (position + 1) / 2 * R(size - 1) : ((position + 1) * R(size) - 1) / 2
        if mode == .nearest { x.round(.toNearestOrEven) }
        let (low, high) = alignsCorners ? (R(0), R(size - 1)) : (R(-0.5), R(size) - R(0.5))
        if x < low || x > high {
            if padding == .border { x = min(max(x, 0), R(size - 1)) }
            if padding == .reflection { x = reflected(x, size) }
        }
        // What is no number, or far away, is outside.
        guard abs(x) < 1e6 else { return [(nil, 0)] }
        func index(_ i: Int) -> Int? {
            if (0..<size).contains(i) { return i }
            switch padding {
            case .zeros: return nil
            case .border: return min(max(i, 0), size - 1)
            case .reflection: return min(max(Int(reflected(R(i), size)), 0), size - 1)
            }
        }
        let base = x.rounded(.down), t = x - base, i = Int(base)
        switch mode {
        case .nearest: return [(index(i), 1)]
        case .linear: return [(index(i), 1 - t), (index(i + 1), t)]
        case .cubic:
            let a = R(-0.75)
            func near(_ d: R) -> R { ((a + 2) * d - (a + 3)) * d * d + 1 }
            func far(_ d: R) -> R { ((a * d - 5 * a) * d + 8 * a) * d - 4 * a }
            return [
                (index(i - 1), far(t + 1)), (index(i), near(t)), (index(i + 1), near(1 - t)),
                (index(i + 2), far(2 - t)),
            ]
        }
    }

    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let image = x[0].reals, grid = x[1].reals, spatial = Array(x[0].shape[2...]), n = spatial.count
        let plane = spatial.reduce(1, *), points = y[0].shape[2...].reduce(1, *), channels = x[0].shape[1]
        let strides = TensorType.strides(spatial)
        var result = [R](repeating: 0, count: y[0].count)
        for b in 0..<x[0].shape[0] {
            for point in 0..<points {
                var reads: [(Int, R)] = [(0, 1)]
                for d in 0..<n {
                    let line = taps(grid[(b * points + point) * n + (n - 1 - d)], spatial[d])
                    reads = reads.flatMap { at, weight in
                        line.compactMap { i, w in i.map { (at + $0 * strides[d], weight * w) } }
                    }
                }
                for c in 0..<channels {
                    let start = (b * channels + c) * plane
                    result[(b * channels + c) * points + point] = reads.reduce(0) { $0 + image[start + $1.0] * $1.1 }
                }
            }
        }
        return [ReferenceTensor(y[0], result)]
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? {
        let taps = mode == .nearest ? 1 : mode == .linear ? 2 : 4
        return y[0].count * (2..<x[0].rank).reduce(1) { count, _ in count * taps }
    }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        var m = CMath(x[0].element)
        let type = x[0].element.cType, spatial = Array(x[0].shape[2...]), n = spatial.count
        let (channels, plane) = (x[0].shape[1], spatial.reduce(1, *)), points = y[0].shape[2...].reduce(1, *)
        let count = mode == .nearest ? 1 : mode == .linear ? 2 : 4, strides = TensorType.strides(spatial)
        func reflect(_ v: String, _ size: Int, _ m: inout CMath) -> String {
            let (low, high) = alignsCorners ? (0.0, Double(size - 1)) : (-0.5, Double(size) - 0.5)
            if high <= low { return "\(v) = \(m.literal(0));" }
            let distance = m.call("fmod", m.call("fabs", "\(v) - \(m.literal(low))"), m.literal(2 * (high - low)))
            return
                "\(v) = \(distance); \(v) = \(m.literal(low)) + (\(v) > \(m.literal(high - low)) ? \(m.literal(2 * (high - low))) - \(v) : \(v));"
        }
        var code = ""
        for d in 0..<n {
            let size = spatial[d], p = "x1[(b * \(points) + point) * \(n) + \(n - 1 - d)]"
            let place =
                alignsCorners
                ? "(\(p) + \(m.literal(1))) * \(m.literal(0.5)) * \(m.literal(Double(size - 1)))"
                : "((\(p) + \(m.literal(1))) * \(m.literal(Double(size))) - \(m.literal(1))) * \(m.literal(0.5))"
            let (low, high) = alignsCorners ? (0.0, Double(size - 1)) : (-0.5, Double(size) - 0.5)
            code += "        {\n            \(type) v = \(mode == .nearest ? m.call("rint", place) : place);\n"
            let outside = "v < \(m.literal(low)) || v > \(m.literal(high))"
            if padding == .border {
                code +=
                    "            if (\(outside)) v = v < \(m.literal(0)) ? \(m.literal(0)) : v > \(m.literal(Double(size - 1))) ? \(m.literal(Double(size - 1))) : v;\n"
            } else if padding == .reflection {
                code += "            if (\(outside)) { \(reflect("v", size, &m)) }\n"
            }
            // The comparison is false for what is no number.
            code += "            const int known = \(m.call("fabs", "v")) < \(m.literal(1e6));\n"
            code += "            if (!known) v = \(m.literal(0));\n"
            code += "            const \(type) base = \(m.call("floor", "v")), t = v - base;\n"
            switch mode {
            case .nearest: code += "            (void)t; w[\(d)][0] = \(m.literal(1));\n"
            case .linear: code += "            w[\(d)][0] = \(m.literal(1)) - t; w[\(d)][1] = t;\n"
            case .cubic:
                let a = -0.75
                func near(_ d: String) -> String {
                    "((\(m.literal(a + 2)) * \(d) - \(m.literal(a + 3))) * \(d) * \(d) + \(m.literal(1)))"
                }
                func far(_ d: String) -> String {
                    "(((\(m.literal(a)) * \(d) - \(m.literal(5 * a))) * \(d) + \(m.literal(8 * a))) * \(d) - \(m.literal(4 * a)))"
                }
                let one = m.literal(1), two = m.literal(2)
                code += "            w[\(d)][0] = \(far("(t + \(one))")); w[\(d)][1] = \(near("t"));\n"
                code += "            w[\(d)][2] = \(near("(\(one) - t)")); w[\(d)][3] = \(far("(\(two) - t)"));\n"
            }
            code +=
                "            for (int k = 0; k < \(count); ++k) {\n                ptrdiff_t i = (ptrdiff_t)base + k\(mode == .cubic ? " - 1" : "");\n"
            switch padding {
            case .zeros: code += "                if (i < 0 || i >= \(size)) { i = 0; w[\(d)][k] = \(m.literal(0)); }\n"
            case .border: code += "                i = i < 0 ? 0 : i > \(size - 1) ? \(size - 1) : i;\n"
            case .reflection:
                code +=
                    "                if (i < 0 || i >= \(size)) { \(type) r = (\(type))i; \(reflect("r", size, &m)) i = (ptrdiff_t)r; i = i < 0 ? 0 : i > \(size - 1) ? \(size - 1) : i; }\n"
            }
            code += "                if (!known) w[\(d)][k] = \(m.literal(0));\n"
            code += "                at[\(d)][k] = (size_t)i * \(strides[d]);\n            }\n        }\n"
        }
        let loops = (0..<n).map { "for (int k\($0) = 0; k\($0) < \(count); ++k\($0)) " }.joined()
        let offset = (0..<n).map { "at[\($0)][k\($0)]" }.joined(separator: " + ")
        let weight = (0..<n).map { "w[\($0)][k\($0)]" }.joined(separator: " * ")
        return CBody(
            """
            for (size_t b = 0; b < \(x[0].shape[0]); ++b)
                for (size_t point = 0; point < \(points); ++point) {
                    \(type) w[\(n)][\(count)];
                    size_t at[\(n)][\(count)];
            \(code)        for (size_t c = 0; c < \(channels); ++c) {
                        const \(type) *x = x0 + (b * \(channels) + c) * \(plane);
                        \(type) sum = \(m.literal(0));
                        \(loops)sum += x[\(offset)] * (\(weight));
                        y0[(b * \(channels) + c) * \(points) + point] = sum;
                    }
                }

            """, mathFunctions: m.functions)
    }
    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        guard x[0].rank == 4 else { return nil }
        let name = mode == .linear ? "bilinear" : mode == .cubic ? "bicubic" : "nearest"
        return ONNXForm(
            "GridSample", since: 16,
            attributes: [
                ("mode", .string(name)), ("padding_mode", .string(padding.rawValue)),
                ("align_corners", .int(alignsCorners ? 1 : 0)),
            ])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("GridSample", versions: 16...21, refuses: "more than three spatial dimensions") {
                node, g throws(ONNXImportError) in
                var name = try node.string("mode", default: "linear")
                name = name == "bilinear" ? "linear" : name == "bicubic" ? "cubic" : name
                let outside = try node.string("padding_mode", default: "zeros")
                guard let mode = Mode(rawValue: name), let padding = Padding(rawValue: outside) else {
                    throw .malformed("mode '\(name)' or padding_mode '\(outside)' is unknown")
                }
                let op = GridSample(
                    mode, padding: padding, alignsCorners: try node.int("align_corners", default: 0) != 0)
                return [try g.apply(op, node.required(0), node.required(1), name: node.name)]
            }
        ]
    }

    public static let specimens: [Specimen] = {
        func specimen(_ op: GridSample, deep: Bool = false) -> Specimen {
            let image = deep ? TensorType.f32(1, 2, 3, 4, 2) : .f32(2, 2, 4, 5)
            let grid = deep ? TensorType.f32(1, 2, 2, 2, 3) : .f32(2, 3, 2, 2)
            return Specimen(op, operands: [.uniform(image, -2...2), .uniform(grid, -1.4...1.4)], differentiable: false)
        }
        return [
            specimen(GridSample()), specimen(GridSample(.linear, padding: .border, alignsCorners: true)),
            specimen(GridSample(.nearest, padding: .reflection)), specimen(GridSample(.cubic)),
            specimen(GridSample(.cubic, padding: .reflection, alignsCorners: true)),
            specimen(GridSample(.linear, padding: .reflection), deep: true),
        ]
    }()
}
