import IR

/// Runs operators that have no kernel for their types by their definitions: right, and slow.
enum Fallback {
    typealias Operand = (type: TensorType, memory: UnsafeRawPointer)
    typealias Result = (type: TensorType, memory: UnsafeMutableRawPointer)

    static func run(_ node: Node, _ operands: [Operand], _ results: [Result]) throws(ShapeError) {
        // Only doubles need the wider arithmetic.
        if (operands.map(\.type) + results.map(\.type)).contains(where: { $0.element == .f64 }) {
            try run(node, operands, results, as: Double.self)
        } else {
            try run(node, operands, results, as: Float.self)
        }
    }

    private static func run<R: Scalar>(
        _ node: Node, _ operands: [Operand], _ results: [Result], as: R.Type
    ) throws(ShapeError) {
        let values = try Interpreter.evaluate(node.op, operands.map { read($0) as ReferenceTensor<R> }, at: node.name)
        for (value, result) in zip(values, results) { value.literal.store(as: result.type, to: result.memory) }
    }

    private static func read<R: Scalar>(_ operand: Operand) -> ReferenceTensor<R> {
        ReferenceTensor(
            Literal(operand.type, stored: UnsafeRawBufferPointer(start: operand.memory, count: operand.type.byteCount)))
    }
}
