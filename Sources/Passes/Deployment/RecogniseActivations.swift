import IR
import Operators

/// Turns the arithmetic that other tools write for an activation back into the activation.
///
/// Runs before epilogues are fused, which know activations alone. Without it graphs stay right, only slower.
///
///     %0 = sigmoid %x                     →      %1 = silu %x
///     %1 = multiply %x, %0
///
/// Also `x · hard_sigmoid(x)` with ONNX's slope of 1/6, and `x · ½ · (1 + erf(x / √2))` however its factors are grouped.
public let recogniseActivations = Pass("recognise-activations") { graph throws(PassError) in
    var producers = Producers()
    let recognised = try graph.rewritten { node, operands, g throws(PassError) in
        guard node.op is Multiply, operands.count == 2 else { return nil }
        for (x, gate) in [(operands[0], operands[1]), (operands[1], operands[0])] {
            guard let made = producers.node(of: gate, in: g), made.operands.first == x else { continue }
            if made.op is Sigmoid {
                return try rewriting { () throws(ShapeError) in [try g.append(Silu(), x, name: node.name)] }
            }
            if let gate = made.op as? HardSigmoid, abs(gate.slope - 1 / 6) < 1e-6, gate.offset == 0.5 {
                return try rewriting { () throws(ShapeError) in [try g.append(HardSwish(), x, name: node.name)] }
            }
        }
        guard let x = geluOperand(operands, &producers, g), g.type(of: x) == graph.type(of: node.results[0]) else {
            return nil
        }
        return try rewriting { () throws(ShapeError) in [try g.append(Gelu(), x, name: node.name)] }
    }
    return recognised.withoutDeadCode()
}

/// `x`, when the product of `operands` is `x · ½ · (1 + erf(x / √2))`.
private func geluOperand(_ operands: [Value], _ producers: inout Producers, _ g: GraphBuilder) -> Value? {
    var factors: [Value] = []
    var scale = 1.0
    func scalar(_ value: Value) -> Double? { g.constant(of: value).flatMap { $0.count == 1 ? $0.reals[0] : nil } }
    func collect(_ value: Value, _ depth: Int) {
        if let constant = scalar(value) {
            scale *= constant
        } else if depth > 0, let node = producers.node(of: value, in: g), node.op is Multiply {
            for operand in node.operands { collect(operand, depth - 1) }
        } else {
            factors.append(value)
        }
    }
    for operand in operands { collect(operand, 1) }
    guard factors.count == 2, abs(scale - 0.5) < 1e-6 else { return nil }
    for (x, gate) in [(factors[0], factors[1]), (factors[1], factors[0])] {
        guard let sum = producers.node(of: gate, in: g), sum.op is Add,
            let erf = sum.operands.first(where: { scalar($0) == nil }),
            sum.operands.contains(where: { scalar($0) == 1 }),
            let inner = producers.node(of: erf, in: g), inner.op is Erf,
            let scaled = producers.node(of: inner.operands[0], in: g), scaled.operands.contains(x),
            let factor = scaled.operands.lazy.compactMap(scalar).first
        else { continue }
        if scaled.op is Divide, scaled.operands[0] == x, abs(factor - 2.0.squareRoot()) < 1e-4 { return x }
        if scaled.op is Multiply, abs(factor - 0.5.squareRoot()) < 1e-4 { return x }
    }
    return nil
}
