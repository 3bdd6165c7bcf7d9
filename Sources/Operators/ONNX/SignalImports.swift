import IR
import RealModule

extension Registry {
    /// Windows, Fourier transforms and products of many operands.
    static let signalImports: [ONNXImport] = [
        window("HannWindow") { angle in 0.5 - 0.5 * Double.cos(angle) },
        // ONNX takes the exact Hamming coefficient 25/46.
        window("HammingWindow") { angle in 25.0 / 46 - 21.0 / 46 * Double.cos(angle) },
        window("BlackmanWindow") { angle in 0.42 - 0.5 * Double.cos(angle) + 0.08 * Double.cos(2 * angle) },
        ONNXImport("DFT", versions: 17...21, refuses: "an axis or length that is not constant") {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), rank = g.type(of: x).rank
            let length = node.input(1) == nil ? nil : try node.integers(1, in: g, called: "dft_length").first
            let given: Int
            if node.opset < 20 {
                given = try node.int("axis", default: 1)
            } else {
                given = node.input(2) == nil ? -2 : try node.integers(2, in: g, called: "axis").first ?? -2
            }
            let axis = given < 0 ? given + rank : given
            guard (0..<(rank - 1)).contains(axis) else {
                throw .malformed("axis \(given) is outside a tensor of rank \(rank)")
            }
            let isInverse = try node.int("inverse", default: 0) != 0,
                isOneSided = try node.int("onesided", default: 0) != 0
            return [try g.fourier(x, axis: axis, length: length, isInverse: isInverse, isOneSided: isOneSided)]
        },
        ONNXImport("STFT", versions: 17...21, refuses: "steps and lengths that are not constant") {
            node, g throws(ONNXImportError) in
            let x = try node.required(0), shape = g.type(of: x).shape
            guard shape.count == 2 || shape.count == 3,
                let step = try node.integers(1, in: g, called: "frame_step").first, step > 0
            else { throw .malformed("operand 0 should be [batch, length, 1 or 2], found \(shape)") }
            let window = node.input(2)
            let length =
                node.input(3) == nil
                ? window.map { g.type(of: $0).count } : try node.integers(3, in: g, called: "frame_length").first
            guard let length, length > 0, length <= shape[1] else {
                throw .malformed("the frames do not fit \(shape[1]) samples")
            }
            let frames = (shape[1] - length) / step + 1, parts = shape.count == 3 ? shape[2] : 1
            let starts = (0..<frames).flatMap { frame in (0..<length).map { frame * step + $0 } }
            let signal = try g.apply(Reshape([shape[0], shape[1], parts]), x)
            var cut = try g.apply(Gather(axis: 1), signal, g.constant(Literal(starts, shape: [frames, length])))
            if let window { cut = try g.apply(Multiply(), cut, g.apply(Reshape([length, 1]), window)) }
            let isOneSided = try node.int("onesided", default: 1) != 0 && parts == 1
            return [try g.fourier(cut, axis: 2, length: length, isInverse: false, isOneSided: isOneSided)]
        },
        ONNXImport(
            "MelWeightMatrix", versions: 17...21, elements: [.i32, .i64], refuses: "operands that are not constant"
        ) {
            node, g throws(ONNXImportError) in
            var operands: [Double] = []
            for index in 0..<5 {
                guard let literal = g.constant(of: try node.required(index)), literal.count == 1 else {
                    throw .unsupported("operand \(index) depends on data; only constants can be compiled")
                }
                operands.append(literal.reals[0])
            }
            guard operands.allSatisfy({ abs($0) < 0x1p31 }) else { throw .malformed("an operand is out of range") }
            let (bands, length, rate) = (Int(operands[0]), Int(operands[1]), operands[2])
            guard bands > 0, length > 0, rate > 0, bands < 1 << 16, length < 1 << 24 else {
                throw .malformed("a count is not positive")
            }
            func mel(_ frequency: Double) -> Double { 2595 * Double.log10(1 + frequency / 700) }
            let (low, high) = (mel(operands[3]), mel(operands[4]))
            let bins = (0..<(bands + 2)).map { band -> Int in
                let edge = low + Double(band) * (high - low) / Double(bands + 2)
                let frequency = 700 * (Double.pow(10, edge / 2595) - 1)
                return Int((Double(length + 1) * frequency / rate).rounded(.down))
            }
            let rows = length / 2 + 1
            var matrix = [Double](repeating: 0, count: rows * bands)
            for band in 0..<bands {
                let (left, centre, right) = (bins[band], bins[band + 1], bins[band + 2])
                if left == centre {
                    if (0..<rows).contains(centre) { matrix[centre * bands + band] = 1 }
                } else {
                    for k in left...max(left, centre) where (0..<rows).contains(k) {
                        matrix[k * bands + band] = Double(k - left) / Double(centre - left)
                    }
                }
                for k in centre..<max(centre, right) where (0..<rows).contains(k) {
                    matrix[k * bands + band] = Double(right - k) / Double(right - centre)
                }
            }
            let code = try node.int("output_datatype", default: 1)
            guard let element = ElementType(onnxCode: code) else {
                throw .unsupported("MelWeightMatrix of ONNX type \(code)")
            }
            return [g.constant(Literal(element, [rows, bands], reals: matrix))]
        },
        ONNXImport("Einsum", versions: 12...21, elements: ElementType.numbers) { node, g throws(ONNXImportError) in
            let operands = try node.all(), equation = try node.string("equation", default: "")
            return [try g.einsum(equation, operands)]
        },
    ]

    private static func window(_ opType: String, _ value: @escaping @Sendable (Double) -> Double) -> ONNXImport {
        ONNXImport(opType, versions: 17...21, elements: [.i32, .i64], refuses: "a size that is not constant") {
            node, g throws(ONNXImportError) in
            guard let size = try node.integers(0, in: g, called: "size").first, (0..<(1 << 28)).contains(size) else {
                throw .malformed("the size should be a count")
            }
            let period = try node.int("periodic", default: 1) != 0 ? size : size - 1
            let code = try node.int("output_datatype", default: 1)
            guard let element = ElementType(onnxCode: code) else {
                throw .unsupported("\(opType) of ONNX type \(code)")
            }
            let values = (0..<size).map { value(2 * Double.pi * Double($0) / Double(max(period, 1))) }
            return [g.constant(Literal(element, [size], reals: values))]
        }
    }
}

extension GraphBuilder {
    /// The discrete Fourier transform along `axis` as products with cosines and sines; the last dimension holds real
    /// and imaginary part, or the real part alone.
    fileprivate mutating func fourier(
        _ x: Value, axis: Int, length: Int?, isInverse: Bool, isOneSided: Bool
    ) throws(ONNXImportError) -> Value {
        let type = type(of: x), rank = type.rank, parts = type.shape[rank - 1], size = type.shape[axis]
        let n = length ?? size, m = isOneSided ? n / 2 + 1 : n
        guard n > 0, parts == 1 || parts == 2, n < 1 << 16 else {
            throw .malformed("a transform of length \(n) over shape \(type.shape) is not possible")
        }
        // A shorter signal counts as followed by zeros, a longer one is cut.
        let used = min(n, size)
        var (cosines, sines) = ([Double](), [Double]())
        for k in 0..<used {
            for j in 0..<m {
                let angle = 2 * Double.pi * Double(k * j % n) / Double(n) * (isInverse ? 1 : -1)
                cosines.append(Double.cos(angle) / (isInverse ? Double(n) : 1))
                sines.append(Double.sin(angle) / (isInverse ? Double(n) : 1))
            }
        }
        let c = constant(Literal(type.element, [used, m], reals: cosines)),
            s = constant(Literal(type.element, [used, m], reals: sines))
        let cut = used == size ? x : try apply(Slice(axis: axis, start: 0, size: used, of: type.shape), x)
        // The axis goes last, the parts to the front.
        let others = (0..<(rank - 1)).filter { $0 != axis }
        let moved = try apply(Transpose([rank - 1] + others + [axis]), cut), shape = self.type(of: moved).shape
        let real = try apply(Reshape(Array(shape[1...])), apply(Slice(axis: 0, start: 0, size: 1, of: shape), moved))
        var (re, im) = (try apply(MatMul(), real, c), try apply(MatMul(), real, s))
        if parts == 2 {
            let imaginary = try apply(
                Reshape(Array(shape[1...])), apply(Slice(axis: 0, start: 1, size: 1, of: shape), moved))
            re = try apply(Subtract(), re, apply(MatMul(), imaginary, s))
            im = try apply(Add(), im, apply(MatMul(), imaginary, c))
        }
        let result = self.type(of: re).shape + [1]
        let joined = try apply(Concat(axis: result.count - 1), apply(Reshape(result), re), apply(Reshape(result), im))
        // Back: dimension `axis` is at the last place but one now.
        var order = Array(0..<(rank - 2))
        order.insert(rank - 2, at: axis)
        return try apply(Transpose(order + [rank - 1]), joined)
    }

    /// A sum of products in Einstein's notation, two operands at a time as matrix products.
    fileprivate mutating func einsum(_ equation: String, _ operands: [Value]) throws(ONNXImportError) -> Value {
        let text = equation.filter { $0 != " " }
        let sides = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let terms = sides[0].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard terms.count == operands.count, sides.count == 1 || sides[1].hasPrefix(">") else {
            throw .malformed("equation '\(equation)' does not fit \(operands.count) operands")
        }
        // The dots stand for as many leading labels as an operand has dimensions without a letter.
        var labels: [[Character]] = []
        var dots: [Character] = []
        for (term, operand) in zip(terms, operands) {
            let letters = Array(term.replacing("...")), rank = type(of: operand).rank
            guard letters.count <= rank, letters.allSatisfy(\.isLetter), term.contains("...") || letters.count == rank
            else {
                throw .malformed("term '\(term)' does not fit an operand of rank \(rank)")
            }
            let hidden = (0..<(rank - letters.count)).reversed().map { Character(UnicodeScalar(UInt8(0x30 + $0 % 10))) }
            if hidden.count > dots.count { dots = hidden }
            let before = term.components(before: "...")
            labels.append(before + hidden + letters.dropFirst(before.count))
        }
        var output: [Character]
        if sides.count == 2 {
            let term = String(sides[1].dropFirst()), before = term.components(before: "...")
            output = before + (term.contains("...") ? dots : []) + Array(term.replacing("...")).dropFirst(before.count)
        } else {
            let all = labels.joined().filter(\.isLetter)
            output = dots + Set(all).filter { letter in all.count { $0 == letter } == 1 }.sorted()
        }
        var values = operands
        for k in values.indices { (values[k], labels[k]) = try diagonal(values[k], labels[k]) }
        while values.count > 1 {
            let rest = Set(labels[2...].joined()).union(output)
            let (value, kept) = try contracted(values[0], labels[0], values[1], labels[1], keeping: rest)
            values.replaceSubrange(0..<2, with: [value])
            labels.replaceSubrange(0..<2, with: [kept])
        }
        let unused = labels[0].indices.filter { !output.contains(labels[0][$0]) }
        var y = values[0]
        if !unused.isEmpty { y = try apply(ReduceSum(axes: unused), y) }
        let present = labels[0].filter { output.contains($0) }
        guard Set(output).count == output.count, Set(output) == Set(present) else {
            throw .malformed("the result of '\(equation)' has labels that no operand has, or one twice")
        }
        let order = output.compactMap { present.firstIndex(of: $0) }
        return order == Array(order.indices) ? y : try apply(Transpose(order), y)
    }

    /// An operand without repeated labels: of those the diagonal is taken.
    private mutating func diagonal(_ x: Value, _ labels: [Character]) throws(ONNXImportError) -> (Value, [Character]) {
        var (y, names) = (x, labels)
        while let second = names.indices.first(where: { names[..<$0].contains(names[$0]) }),
            let first = names.firstIndex(of: names[second])
        {
            let shape = type(of: y).shape
            guard shape[first] == shape[second] else { throw .malformed("label '\(names[first])' has two sizes") }
            let positions = (0..<shape[first]).map { $0 }
            var indexShape = shape.map { _ in 1 }
            indexShape[first] = shape[first]
            var target = shape
            target[second] = 1
            let indices = try broadcast(constant(Literal(positions, shape: indexShape)), to: target)
            target.remove(at: second)
            y = try apply(Reshape(target), apply(GatherElements(axis: second), y, indices))
            names.remove(at: second)
        }
        return (y, names)
    }

    /// The product of two operands, summed over labels that nothing else needs.
    private mutating func contracted(
        _ a: Value, _ la: [Character], _ b: Value, _ lb: [Character], keeping rest: Set<Character>
    ) throws(ONNXImportError) -> (Value, [Character]) {
        let shared = la.filter { lb.contains($0) }
        let batch = shared.filter { rest.contains($0) }, inner = shared.filter { !rest.contains($0) }
        let left = la.filter { !lb.contains($0) }, right = lb.filter { !la.contains($0) }
        func size(_ label: Character) throws(ONNXImportError) -> Int {
            let sizes = Set(
                [(la, a), (lb, b)].compactMap { labels, value in
                    labels.firstIndex(of: label).map { type(of: value).shape[$0] }
                })
            // A one broadcasts against the other's size.
            guard sizes.count == 1 || (sizes.count == 2 && sizes.contains(1)) else {
                throw .malformed("label '\(label)' has the sizes \(sizes.sorted())")
            }
            return sizes.max() ?? 1
        }
        func sizes(_ labels: [Character]) throws(ONNXImportError) -> [Int] {
            var list: [Int] = []
            for label in labels { list.append(try size(label)) }
            return list
        }
        func arranged(_ value: Value, _ labels: [Character], _ order: [Character]) throws(ONNXImportError) -> Value {
            let moved = try apply(Transpose(order.compactMap { labels.firstIndex(of: $0) }), value),
                full = try sizes(order)
            return type(of: moved).shape == full ? moved : try broadcast(moved, to: full)
        }
        let (nb, nl, ni, nr) = (try sizes(batch), try sizes(left), try sizes(inner), try sizes(right))
        let (m, k, n) = (nl.reduce(1, *), ni.reduce(1, *), nr.reduce(1, *))
        let wideA = try apply(Reshape([nb.reduce(1, *), m, k]), arranged(a, la, batch + left + inner))
        let wideB = try apply(Reshape([nb.reduce(1, *), k, n]), arranged(b, lb, batch + inner + right))
        return (try apply(Reshape(nb + nl + nr), apply(MatMul(), wideA, wideB)), batch + left + right)
    }
}

extension String {
    /// The text without the first occurrence of `part`.
    fileprivate func replacing(_ part: String) -> String {
        let all = Array(self), before = components(before: part)
        return contains(part) ? String(before + all.dropFirst(before.count + part.count)) : self
    }

    /// The characters before the first occurrence of `part`; all of them when there is none.
    fileprivate func components(before part: String) -> [Character] {
        let all = Array(self), sought = Array(part)
        let start = all.indices.first { all[$0...].starts(with: sought) }
        return Array(all[..<(start ?? all.count)])
    }
}
