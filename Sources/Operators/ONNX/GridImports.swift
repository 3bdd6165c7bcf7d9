import IR

extension Registry {
    /// Grids of positions for ``GridSample``.
    static let gridImports: [ONNXImport] = [
        ONNXImport("AffineGrid", versions: 20...21, refuses: "a size that is not constant") {
            node, g throws(ONNXImportError) in
            let theta = try node.required(0), size = try node.integers(1, in: g, called: "size"), n = size.count - 2
            let aligns = try node.int("align_corners", default: 0) != 0
            guard n == 2 || n == 3, g.type(of: theta).shape == [size[0], n, n + 1], size.allSatisfy({ $0 > 0 }) else {
                throw .malformed("transformations \(g.type(of: theta)) do not fit images of \(size)")
            }
            // Every position in homogeneous coordinates, x first.
            let spatial = Array(size[2...]), unit = [Int](repeating: 1, count: n)
            var positions: [Double] = []
            forEachIndex(spatial, [unit]) { linear, _ in
                var rest = linear
                for d in (0..<n).reversed() {
                    let (i, length) = (Double(rest % spatial[d]), Double(spatial[d]))
                    rest /= spatial[d]
                    positions.append(aligns ? (length == 1 ? 0 : 2 * i / (length - 1) - 1) : (2 * i + 1) / length - 1)
                }
                positions.append(1)
            }
            let element = g.type(of: theta).element
            let base = g.constant(Literal(element, [1, spatial.reduce(1, *), n + 1], reals: positions))
            let grid = try g.apply(MatMul(), base, g.apply(Transpose([0, 2, 1]), theta))
            return [try g.apply(Reshape([size[0]] + spatial + [n]), grid, name: node.name)]
        }
    ]
}
