import IR
import RealModule

/// How ONNX's `Resize` reads its source along one axis: taps with weights for every position of the result.
private struct Resampling {
    var mode = "nearest"
    var coordinates = "half_pixel"
    var nearest = "round_prefer_floor"
    var cubicCoefficient = -0.75
    var excludesOutside = false
    var antialiases = false
    /// The region of `tf_crop_and_resize` along the axis, in parts of its length.
    var region = (start: 0.0, end: 1.0)

    /// Where in the source the centre of each of `count` positions lies.
    func source(_ count: Int, of size: Int, scale: Double) -> [Double] {
        // A fractional size counts as it is: ONNX rounds only the number of positions.
        let length = Double(size), target = scale * Double(size)
        return (0..<count).map { position in
            let o = Double(position)
            switch coordinates {
            case "align_corners": return o == 0 ? 0 : o * (length - 1) / (target - 1)
            case "asymmetric": return o / scale
            case "pytorch_half_pixel": return count == 1 ? 0 : (o + 0.5) / scale - 0.5
            case "half_pixel_symmetric":
                let centre = length / 2, adjustment = Double(count) / target
                return centre * (1 - adjustment) + (o + 0.5) / scale - 0.5
            case "tf_crop_and_resize":
                guard count > 1 else { return 0.5 * (region.start + region.end) * (length - 1) }
                return region.start * (length - 1) + o * (region.end - region.start) * (length - 1) / (target - 1)
            default: return (o + 0.5) / scale - 0.5
            }
        }
    }

    /// Indices and weights for each source position; as many for every one.
    func taps(_ positions: [Double], of size: Int, scale: Double) -> [(indices: [Int], weights: [Double])] {
        func clamp(_ index: Int) -> Int { min(max(index, 0), size - 1) }
        if mode == "nearest" {
            return positions.map { x in
                let rounded: Double =
                    switch nearest {
                    case "round_prefer_ceil": (x + 0.5).rounded(.down)
                    case "floor": x.rounded(.down)
                    case "ceil": x.rounded(.up)
                    default: (x - 0.5).rounded(.up)
                    }
                return ([clamp(Int(rounded))], [1])
            }
        }
        // When shrinking with antialiasing the filter is as much wider.
        let stretch = antialiases ? min(scale, 1) : 1
        let reach = mode == "cubic" ? 2.0 : 1.0
        let first = Int((-reach / stretch).rounded(.down)) + 1, count = 2 - 2 * first
        return positions.map { x in
            // A whole position belongs to the tap on its left.
            let base = x == x.rounded() ? x - 1 : x.rounded(.down), ratio = x - base
            let indices = (0..<count).map { Int(base) + first + $0 }
            var weights = (0..<count).map { weight(abs((Double(first + $0) - ratio) * stretch)) }
            if excludesOutside {
                for (k, index) in indices.enumerated() where !(0..<size).contains(index) { weights[k] = 0 }
            }
            if excludesOutside || antialiases {
                let sum = weights.reduce(0, +)
                if sum != 0 { weights = weights.map { $0 / sum } }
            }
            return (indices.map(clamp), weights)
        }
    }

    /// The filter at a distance from its centre.
    private func weight(_ d: Double) -> Double {
        guard mode == "cubic" else { return max(0, 1 - d) }
        let a = cubicCoefficient
        if d <= 1 { return ((a + 2) * d - (a + 3)) * d * d + 1 }
        return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0
    }
}

extension GraphBuilder {
    /// `x` resampled along one axis: each tap gathered and weighted.
    fileprivate mutating func resampled(
        _ x: Value, axis: Int, _ count: Int, scale: Double, _ how: Resampling
    ) throws(ONNXImportError) -> Value {
        let type = type(of: x), size = type.shape[axis]
        let taps = how.taps(how.source(count, of: size, scale: scale), of: size, scale: scale)
        let isIdentity =
            count == size
            && taps.indices.allSatisfy { k in
                zip(taps[k].indices, taps[k].weights).allSatisfy { $1 == 0 || ($0 == k && $1 == 1) }
            }
        if isIdentity { return x }
        guard let widest = taps.map(\.indices.count).max() else {
            throw .malformed("a dimension of size zero cannot be resized")
        }
        let used = (0..<widest).filter { tap in taps.contains { $0.weights[tap] != 0 } }
        if used.count == 1, taps.allSatisfy({ $0.weights[used[0]] == 1 }) {
            return try apply(Gather(axis: axis), x, constant(Literal(taps.map { $0.indices[used[0]] })))
        }
        let shape = [used.count, count]
        let indices = Literal(used.flatMap { tap in taps.map { $0.indices[tap] } }, shape: shape)
        let weights = Literal(type.element, shape, reals: used.flatMap { tap in taps.map { $0.weights[tap] } })
        return try apply(Resample(axis: axis), x, constant(indices), constant(weights))
    }

    fileprivate mutating func resize(_ node: ONNXNode, _ x: Value, scales: [Double]?, sizes: [Int]?, region: [Double]?)
        throws(ONNXImportError) -> Value
    {
        let type = type(of: x), rank = type.rank
        var how = Resampling()
        how.mode = try node.string("mode", default: "nearest")
        if how.mode == "bilinear" { how.mode = "linear" }
        guard ["nearest", "linear", "cubic"].contains(how.mode) else {
            throw .malformed("mode '\(how.mode)' is unknown")
        }
        guard how.mode == "nearest" || type.element.isFloatingPoint else {
            throw .unsupported("\(node.opType) of \(type.element.rawValue) in mode \(how.mode)")
        }
        // Before opset 11 positions were scaled and rounded down.
        how.coordinates = try node.string(
            "coordinate_transformation_mode", default: node.opset < 11 ? "asymmetric" : "half_pixel")
        how.nearest = try node.string("nearest_mode", default: node.opset < 11 ? "floor" : "round_prefer_floor")
        how.cubicCoefficient = try node.float("cubic_coeff_a", default: -0.75)
        how.excludesOutside = try node.int("exclude_outside", default: 0) != 0
        how.antialiases = try node.int("antialias", default: 0) != 0
        let axes = (try node.ints("axes") ?? Array(0..<rank)).map { $0 < 0 ? $0 + rank : $0 }
        guard axes.allSatisfy((0..<rank).contains), (scales?.count ?? sizes?.count) == axes.count else {
            throw .malformed("scales or sizes should have one entry for each of \(axes.count) axes")
        }
        let source = axes.map { type.shape[$0] }
        var (factors, targets) = ([Double](), [Int]())
        if let sizes {
            (factors, targets) = (zip(sizes, source).map { Double($0) / Double($1) }, sizes)
            let policy = try node.string("keep_aspect_ratio_policy", default: "stretch")
            if policy != "stretch" {
                let common = (policy == "not_larger" ? factors.min() : factors.max()) ?? 1
                targets = source.map { Int(clamping: (common * Double($0) + 0.5).rounded(.down)) }
                factors = factors.map { _ in common }
            }
        } else if let scales {
            (factors, targets) = (scales, zip(scales, source).map { Int(clamping: (Double($1) * $0).rounded(.down)) })
        }
        guard targets.allSatisfy({ (1...(1 << 24)).contains($0) }), factors.allSatisfy({ (1e-6...1e6).contains($0) })
        else {
            throw .malformed("the sizes \(targets) are not all positive")
        }
        var y = x
        var isInside: Value?
        for (k, axis) in axes.enumerated() {
            if how.coordinates == "tf_crop_and_resize" {
                guard let region, region.count == 2 * axes.count, region.allSatisfy({ abs($0) < 1e6 }) else {
                    throw .malformed("roi should have \(2 * axes.count) entries")
                }
                how.region = (region[k], region[axes.count + k])
                let inside = how.source(targets[k], of: source[k], scale: factors[k]).map { (x: Double) -> Int64 in
                    x >= 0 && x <= Double(source[k] - 1) ? 1 : 0
                }
                let shape = [targets[k]] + [Int](repeating: 1, count: rank - axis - 1)
                let line = constant(Literal(.bool, shape, integers: inside))
                isInside = if let isInside { try apply(And(), isInside, line) } else { line }
            }
            y = try resampled(y, axis: axis, targets[k], scale: factors[k], how)
        }
        guard let isInside else { return y }
        let outside = constant(try node.float("extrapolation_value", default: 0), like: y)
        return try apply(Where(), isInside, y, outside, name: node.name)
    }
}

extension ONNXNode {
    /// The reals of an operand that must be constant; nil when it is left out or empty.
    fileprivate func reals(_ index: Int, in g: GraphBuilder, called name: String) throws(ONNXImportError) -> [Double]? {
        guard let value = input(index) else { return nil }
        guard let literal = g.constant(of: value) else {
            throw .unsupported("\(name) (operand \(index)) depends on data; only constants can be compiled")
        }
        return literal.count == 0 ? nil : literal.reals
    }
}

extension Registry {
    /// `Resize` and what it was called before.
    static let resizeImports: [ONNXImport] = [
        ONNXImport(
            "Resize", versions: 10...21, elements: ElementType.numbers,
            refuses: "scales and sizes that are not constant"
        ) {
            node, g throws(ONNXImportError) in
            let x = try node.required(0)
            if node.opset < 11 {
                return [try g.resize(node, x, scales: node.reals(1, in: g, called: "scales"), sizes: nil, region: nil)]
            }
            let region = try node.reals(1, in: g, called: "roi"), scales = try node.reals(2, in: g, called: "scales")
            let sizes = try node.reals(3, in: g, called: "sizes")?.map { Int($0) }
            return [try g.resize(node, x, scales: sizes == nil ? scales : nil, sizes: sizes, region: region)]
        },
        ONNXImport("Upsample", versions: 7...9, elements: ElementType.numbers, refuses: "scales that are not constant")
        {
            node, g throws(ONNXImportError) in
            var scales = try node.reals(1, in: g, called: "scales")
            if case .floats(let values)? = node.attributes["scales"] { scales = values.map(Double.init) }
            return [try g.resize(node, node.required(0), scales: scales, sizes: nil, region: nil)]
        },
    ]
}

extension Int {
    /// The integer part, within 32 bits; 0 for what is no number.
    fileprivate init(clamping real: Double) {
        self = real.isNaN ? 0 : Int(Swift.min(Swift.max(real, -0x1p31), 0x1p31))
    }
}
