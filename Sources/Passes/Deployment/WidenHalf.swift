import IR
import Operators

/// Does the arithmetic of 16-bit reals in 32 bits, with casts at inputs and outputs.
///
/// Runs before anything is written as C, where 16-bit reals are storage alone; constants are widened once and for all.
/// Results that the graph rounds to 16 bits by a cast of its own stay rounded, the others gain precision. Without it a
/// graph with 16-bit arithmetic has no C.
///
///     %x: f16                             %0 = cast %x : f32
///     %0 = relu %x : f16          →       %1 = relu %0 : f32
///     return %0                           %2 = cast %1 {to = "f16"} : f16
public let widenHalf = Pass("widen-half") { graph throws(PassError) in
    func isHalf(_ type: TensorType) -> Bool { type.element == .f16 || type.element == .bf16 }
    guard (0..<graph.valueCount).contains(where: { isHalf(graph.type(of: Value(id: $0))) }) else { return graph }
    var g = GraphBuilder(name: graph.name)
    var new = [Value?](repeating: nil, count: graph.valueCount)
    var widened: [Value: Value] = [:]

    func wide(_ value: Value) throws(PassError) -> Value {
        guard isHalf(g.type(of: value)) else { return value }
        if let known = widened[value] { return known }
        let result: Value
        if let literal = g.constant(of: value) {
            result = g.constant(Literal(.f32, literal.shape, reals: literal.reals))
        } else {
            result = try rewriting { () throws(ShapeError) in try g.append(Cast(to: .f32), value) }
        }
        widened[value] = result
        return result
    }

    for (input, name) in zip(graph.inputs, graph.inputNames) { new[input.id] = g.input(name, graph.type(of: input)) }
    for node in graph.nodes {
        let types = graph.types(of: node.results)
        var operands = node.operands.map { new[$0.id]! }
        let results: [Value]
        if let cast = node.op as? Cast, cast.to == .f32, isHalf(graph.type(of: node.operands[0])) {
            if g.type(of: operands[0]).element == .f32 {
                results = operands
            } else if let known = widened[operands[0]] {
                results = [known]
            } else {
                results = g.copy(node, operands: operands, types: types)
                widened[operands[0]] = results[0]
            }
        } else if node.operands.isEmpty || !(g.types(of: operands) + types).contains(where: isHalf) {
            results = g.copy(node, operands: operands, types: types)
        } else {
            for index in operands.indices { operands[index] = try wide(operands[index]) }
            results = try rewriting { () throws(ShapeError) in try g.appendAll(node.op, operands, name: node.name) }
        }
        for (old, result) in zip(node.results, results) { new[old.id] = result }
    }
    var outputs: [Value] = []
    for output in graph.outputs {
        let type = graph.type(of: output)
        var value = new[output.id]!
        if g.type(of: value) != type {
            value = try rewriting { () throws(ShapeError) in try g.append(Cast(to: type.element), value) }
        }
        outputs.append(value)
    }
    return g.finish(outputs: outputs, names: graph.outputNames).withoutDeadCode()
}
