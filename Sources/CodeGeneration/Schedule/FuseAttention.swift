import IR
import Operators
import Passes

/// Makes attention over packed projections one node, whichever way its heads were taken apart.
///
/// Runs on deployable graphs. The views between the projection and the products are followed back by running them on the
/// numbers of the elements: only if every element is where ``Attention`` expects it are they left out. Without the pass the
/// heads are copied, and the scores travel through memory.
///
///     %1 = matmul %q, %k
///     %2 = softmax %1                     →     %1 = attention %qkv {heads = 3, scale = 0.125}
///     %3 = matmul %2, %v, …
public func fuseAttention(for unit: VectorUnit) -> Pass {
    Pass("fuse-attention") { graph throws(PassError) in
        var e = NodeEditor(graph)
        for index in graph.nodes.indices {
            guard let node = e.nodes[index], let softmax = node.op as? Softmax else { continue }
            fuse(softmax, node, index, &e, unit)
        }
        return e.finish().pruned()
    }
}

private func fuse(_ softmax: Softmax, _ node: Node, _ index: Int, _ e: inout NodeEditor, _ unit: VectorUnit) {
    let scores = e.type(node.results[0])
    guard scores.rank == 4, softmax.axis == -1 || softmax.axis == 3, scores.shape[2] == scores.shape[3],
        let mix = e.onlyReader(of: node.results[0]), mix.node.op as? MatMul == MatMul(),
        mix.node.operands[0] == node.results[0],
        let swap = e.onlyReader(of: mix.node.results[0]), swap.node.op as? Transpose == Transpose([0, 2, 1, 3]),
        let join = e.onlyReader(of: swap.node.results[0]), join.node.op is Reshape
    else { return }
    let (batch, heads, rows) = (scores.shape[0], scores.shape[1], scores.shape[2])
    let channels = e.type(mix.node.results[0]).shape[3], packed = [batch, rows, 3 * heads * channels]
    guard e.type(join.node.results[0]).shape == [batch, rows, heads * channels] else { return }

    // The scores may be scaled, and so may queries and keys.
    var product = View(node.operands[0])
    product.follow(e) { $0.op is MatMul }
    guard product.path.isEmpty, e.uses[product.root.id] == 1,
        product.scalings.allSatisfy({ at in e.nodes[at]?.results.allSatisfy { e.uses[$0.id] == 1 } ?? false }),
        let score = e.maker(of: product.root, MatMul.self), !score.op.transposesA
    else { return }
    var views = [View(score.node.operands[0]), View(score.node.operands[1]), View(mix.node.operands[1])]
    for i in views.indices { views[i].follow(e) { e.type($0.results[0]).shape == packed } }
    guard views.allSatisfy({ $0.root == views[0].root && e.type($0.root).shape == packed }), views[2].factor == 1
    else { return }
    for (part, view) in views.enumerated() {
        let transposed = part == 1 && !score.op.transposesB
        guard let elements = view.elements(e), elements.count == batch * heads * rows * channels else { return }
        var at = 0
        for b in 0..<batch {
            for h in 0..<heads {
                for i in 0..<(rows * channels) {
                    let (t, d) = transposed ? (i % rows, i / rows) : (i / channels, i % channels)
                    let expected = ((b * rows + t) * 3 + part) * heads * channels + h * channels + d
                    guard elements[at] == Double(expected) else { return }
                    at += 1
                }
            }
        }
    }
    let op = Attention(heads: heads, scale: product.factor * views[0].factor * views[1].factor)
    let x = e.type(views[0].root)
    guard AttentionKernel.takes(op, [x], unit) else { return }
    e.replace(
        product.scalings + [index, score.index, mix.index, swap.index, join.index],
        by: Node(op, [views[0].root], join.node.results, name: mix.node.name), at: join.index)
}

/// A value as some elements of another, times a factor.
private struct View {
    var root: Value
    var factor = 1.0
    /// From the value to the root.
    var path: [Node] = []
    /// The nodes that multiply by a factor on the way.
    var scalings: [Int] = []

    init(_ value: Value) { root = value }

    /// Goes back over views and factors up to the first node that is `wanted`, or is neither.
    mutating func follow(_ e: NodeEditor, until wanted: (Node) -> Bool) {
        while let index = e.producers[root.id], let node = e.nodes[index], !wanted(node) {
            switch node.op {
            case is Reshape, is Transpose, is Slice:
                path.append(node)
                root = node.operands[0]
            case is Multiply:
                let factors = node.operands.map { e.constants[$0] }
                guard let at = factors.firstIndex(where: { $0?.count == 1 }), let literal = factors[at],
                    e.type(node.operands[1 - at]).shape == e.type(node.results[0]).shape
                else { return }
                factor *= literal.reals[0]
                scalings.append(index)
                root = node.operands[1 - at]
            default: return
            }
        }
    }

    /// Which element of the root each element is; `nil` where the path cannot be run.
    func elements(_ e: NodeEditor) -> [Double]? {
        let type = e.type(root)
        guard type.count < 1 << 24 else { return nil }
        var g = GraphBuilder(name: "view")
        var value = g.input("x", type)
        for node in path.reversed() {
            guard let results = try? g.appendAll(node.op, [value]) else { return nil }
            value = results[0]
        }
        let numbers = Literal(type.element, type.shape, reals: (0..<type.count).map(Double.init))
        let graph = g.finish(outputs: [value])
        return try? Interpreter.run(graph, inputs: [ReferenceTensor<Double>(numbers)])[0].literal.reals
    }
}
