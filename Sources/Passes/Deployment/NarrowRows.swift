import IR
import Operators

/// Computes only those rows of matrices that are read.
///
/// Where a network goes on with one token of many, as classifiers do, the layers before need no others: slices move up
/// through everything that works row by row. Runs after epilogues are fused. Without it graphs stay right, and compute rows
/// that nobody reads.
///
///     %1 = layer_norm %x, %s, %b : f32[1,197,192]           %1 = slice %x {sizes = [1, 1, 192], …}
///     %2 = gather %1, [0] {axis = 1}                    →     %2 = layer_norm %1, %s, %b : f32[1,1,192]
///                                                             %3 = reshape %2
public let narrowRows = Pass("narrow-rows") { graph throws(PassError) in
    let constants = graph.constants
    let wanted = wantedRows(graph, constants)
    var narrowed: Set<Value> = []
    return try graph.rewritten { node, operands, g throws(PassError) in
        if rowsPicked(node, graph, constants) != nil, narrowed.contains(node.operands[0]) {
            let type = graph.type(of: node.results[0])
            return [
                g.type(of: operands[0]).shape == type.shape
                    ? operands[0]
                    : try rewriting { () throws(ShapeError) in try g.append(Reshape(type.shape), operands[0]) }
            ]
        }
        guard let byRow = operandsByRow(node, graph), case .rows(let rows)? = wanted[node.results[0].id],
            rows.count < rowCount(graph.type(of: node.results[0]))
        else { return nil }
        var operands = operands
        for i in byRow where !narrowed.contains(node.operands[i]) {
            let shape = g.type(of: operands[i]).shape
            let slice = Slice(axis: shape.count - 2, start: rows.lowerBound, size: rows.count, of: shape)
            operands[i] = try rewriting { () throws(ShapeError) in try g.append(slice, operands[i]) }
        }
        narrowed.insert(node.results[0])
        return try rewriting { () throws(ShapeError) in try g.appendAll(node.op, operands, name: node.name) }
    }.withoutDeadCode()
}

/// Which rows of a value are read.
private enum Rows: Equatable {
    case rows(Range<Int>)
    case all
}

private func rowCount(_ type: TensorType) -> Int { type.shape[type.rank - 2] }

/// By value, the rows that something reads; `nil` where nothing does.
private func wantedRows(_ graph: Graph, _ constants: [Value: Literal]) -> [Rows?] {
    var wanted = [Rows?](repeating: nil, count: graph.valueCount)
    func want(_ rows: Rows, of value: Value) {
        wanted[value.id] = wanted[value.id] == nil || wanted[value.id] == rows ? rows : .all
    }
    for output in graph.outputs { want(.all, of: output) }
    for node in graph.nodes.reversed() {
        if let part = rowsPicked(node, graph, constants) {
            want(.rows(part), of: node.operands[0])
            for operand in node.operands.dropFirst() { want(.all, of: operand) }
            continue
        }
        let byRow = operandsByRow(node, graph)
        for (i, operand) in node.operands.enumerated() {
            let rows = byRow?.contains(i) == true ? wanted[node.results[0].id] : nil
            want(rows ?? .all, of: operand)
        }
    }
    return wanted
}

/// The rows that a node picks from its first operand, when that is all it does.
private func rowsPicked(_ node: Node, _ graph: Graph, _ constants: [Value: Literal]) -> Range<Int>? {
    let x = graph.type(of: node.operands.first ?? node.results[0])
    guard x.rank >= 2 else { return nil }
    switch node.op {
    case let op as Slice:
        let axis = x.rank - 2
        let others = x.shape.indices.allSatisfy { $0 == axis || (op.starts[$0] == 0 && op.sizes[$0] == x.shape[$0]) }
        guard others, op.steps.allSatisfy({ $0 == 1 }), op.sizes[axis] > 0 else { return nil }
        return op.starts[axis]..<op.starts[axis] + op.sizes[axis]
    case let op as Gather:
        guard op.axis == x.rank - 2 || op.axis == -2, let indices = constants[node.operands[1]],
            indices.count == 1, let row = indices.integers.first.map(Int.init), (0..<rowCount(x)).contains(row)
        else { return nil }
        return row..<row + 1
    default: return nil
    }
}

/// The operands of a node whose every row makes one row of the result, together with constants and whole matrices; `nil`
/// for one that does not work row by row.
private func operandsByRow(_ node: Node, _ graph: Graph) -> [Int]? {
    let y = graph.type(of: node.results[0]), x = graph.types(of: node.operands)
    guard node.results.count == 1, y.rank >= 2, y.layout == .plain, let first = x.first, first.rank == y.rank,
        node.schedule.isEmpty
    else { return nil }
    switch node.op {
    case let op as LayerNorm: return op.axis == -1 || op.axis == y.rank - 1 ? [0] : nil
    case let op as MatMul: return !op.transposesA && x[1].rank == 2 ? [0] : nil
    case is Linear: return [0]
    case let op as FusedMatMul:
        guard !op.transposesA, x[1].rank == 2 else { return nil }
        return op.addsResidual ? [0, x.count - 1] : [0]
    case is Add, is Subtract, is Multiply: return x.allSatisfy { $0.shape == y.shape } ? Array(x.indices) : nil
    case is any UnaryElementwise: return [0]
    default: return nil
    }
}
