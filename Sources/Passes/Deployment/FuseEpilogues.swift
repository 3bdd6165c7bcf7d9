import IR
import Operators

/// Fuses bias, residual and activation into the convolution or matrix product before them.
///
/// Runs after batch normalisation is folded and activations are recognised. A product that others read as well is left
/// alone. Without it graphs stay right, and every element travels through memory once more.
///
///     %1 = conv2d %x, %w, %b
///     %2 = add %1, %r                     →      %3 = fused_conv2d %x, %w, %b, %r {addsBias = true, addsResidual = true,
///     %3 = relu %2                                                                 activation = "relu"}
public let fuseEpilogues = Pass("fuse-epilogues") { graph throws(PassError) in
    // A dead reader must not keep a product from being fused.
    let graph = graph.withoutDeadCode()
    let uses = graph.useCounts()
    var producers = Producers()
    let fused = try graph.rewritten { node, operands, g throws(PassError) in
        let type = graph.type(of: node.results[0])
        guard type.element == .f32 || type.element == .f64 else { return nil }
        if let activation = node.op as? any ParametricActivation {
            guard FusedConv2D.activations[activation.mnemonic] != nil, uses[node.operands[0].id] == 1,
                var product = Product(producers.node(of: operands[0], in: g)), product.op.activation.isEmpty
            else { return nil }
            product.op.activation = activation.mnemonic
            product.op.parameters = activation.parameters
            return try product.append(to: &g, name: node.name)
        }
        guard node.op is Add, operands.count == 2 else { return nil }
        for (index, operand) in operands.enumerated().reversed() {
            let other = operands[1 - index]
            guard uses[node.operands[index].id] == 1, g.type(of: operand) == type,
                var product = Product(producers.node(of: operand, in: g)), product.op.activation.isEmpty
            else { continue }
            guard product.add(other, type, &g) else { continue }
            return try product.append(to: &g, name: node.name)
        }
        return nil
    }
    return fused.withoutDeadCode()
}

/// A product with the operands of its epilogue so far.
private struct Product {
    var op: any EpilogueOperator
    var operands: [Value]
    var name: String?

    init?(_ node: Node?) {
        guard let node, node.schedule.isEmpty else { return nil }
        switch node.op {
        case let op as any EpilogueOperator: self.op = op
        case let op as Conv2D: self.op = FusedConv2D(op, addsBias: node.operands.count == 3)
        case is Linear: op = FusedMatMul(MatMul(transposesB: true), addsBias: node.operands.count == 3)
        case let op as MatMul: self.op = FusedMatMul(op, addsBias: false)
        default: return nil
        }
        operands = node.operands
        name = node.name
    }

    /// Takes in an addend, as a bias or as the residual, where there is room for it.
    mutating func add(_ other: Value, _ type: TensorType, _ g: inout GraphBuilder) -> Bool {
        let axis = op.biasAxis(type), channels = type.shape[axis]
        if let values = g.constant(of: other)?.perChannel(channels, rank: type.rank, axis: axis), !op.addsResidual {
            let element = type.element
            if !op.addsBias {
                operands.append(
                    g.constant(Literal(element, [channels], reals: values), name: name.map { $0 + ".bias" }))
                op.addsBias = true
                return true
            }
            guard let bias = g.constant(of: operands[2]) else { return false }
            let sum = zip(bias.reals, values).map { $0 + $1 }
            operands[2] = g.constant(Literal(element, [channels], reals: sum), name: name.map { $0 + ".bias" })
            return true
        }
        guard !op.addsResidual, g.type(of: other) == type else { return false }
        operands.append(other)
        op.addsResidual = true
        return true
    }

    func append(to g: inout GraphBuilder, name: String?) throws(PassError) -> [Value] {
        try rewriting { () throws(ShapeError) in try g.appendAll(op, operands, name: self.name ?? name) }
    }
}
