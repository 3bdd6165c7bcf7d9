import IR

extension Specimen {
    /// Values of the operands, drawn as the specimen says.
    func draw(_ random: inout RandomSource) -> [Literal] {
        operands.map { operand in
            switch operand {
            case .literal(let literal): return literal
            case .integers(let type, let range):
                let values = (0..<type.count).map { _ in
                    Int64(range.lowerBound + random.integer(below: range.upperBound - range.lowerBound + 1))
                }
                return Literal(type.element, type.shape, integers: values)
            case .uniform(let type, let range):
                let values = (0..<type.count).map { _ in
                    range.lowerBound + (range.upperBound - range.lowerBound) * random.uniform()
                }
                return Literal(type.element, type.shape, reals: values)
            }
        }
    }

    /// A graph of the operator alone. Operands that must be known stay constants; the others are inputs.
    func graph() throws(ShapeError) -> (graph: Graph, isInput: [Bool]) {
        var g = GraphBuilder(name: op.mnemonic)
        var values: [Value] = []
        var isInput: [Bool] = []
        for (index, operand) in operands.enumerated() {
            if case .literal(let literal) = operand {
                values.append(g.constant(literal, name: "operand\(index)"))
                isInput.append(false)
            } else {
                values.append(g.input("x\(index)", operand.type))
                isInput.append(true)
            }
        }
        let results = try g.appendAll(op, values, name: "the.node")
        return (g.finish(outputs: results), isInput)
    }
}

extension Literal {
    /// Whether two tensors agree: reals within a relative and absolute tolerance, NaN with NaN, integers exactly.
    func isClose(to other: Literal, relative: Double, absolute: Double) -> Bool {
        guard element == other.element, shape == other.shape else { return false }
        guard element.isFloatingPoint else { return bytes == other.bytes }
        return zip(reals, other.reals).allSatisfy { a, b in
            a == b || (a.isNaN && b.isNaN) || abs(a - b) <= absolute + relative * abs(b)
        }
    }
}
