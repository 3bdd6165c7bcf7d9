public import IR
import Operators

extension ParameterStore {
    /// Makes the parameters of a graph that the store does not hold yet, with initial values by their use.
    ///
    /// Filters of convolutions are drawn from a normal distribution of variance 2 / fan-in, matrices uniformly within
    /// 1 / √fan-in. Scales of a batch norm and running variances are 1; biases and everything else of one dimension 0.
    /// The draw depends on `random` and the parameter's name alone, not on when it is made.
    ///
    /// - Throws: ``ShapeError`` for a parameter that is not `f32`, or that the store holds with another shape.
    /// - Source: He, Zhang, Ren, Sun, *Delving Deep into Rectifiers*, ICCV 2015, section 2.2.
    public func prepare(for graph: Graph, random: RandomSource) throws(ShapeError) {
        let uses = graph.firstUses()
        for (name, value) in graph.parameters {
            let type = graph.type(of: value)
            guard type.element == .f32 else {
                throw ShapeError("a trained parameter is f32, found \(type)", at: name)
            }
            let use = uses[value.id]
            try add(name, shape: type.shape, kind: use.isStatistic ? .statistic : .weight) {
                use.initialValues(type, random.fork(name))
            }
        }
    }
}

/// What a parameter is read by: the first operator, and as which operand.
private struct ParameterUse {
    var op: (any Operator)?
    var operand = 0

    var isStatistic: Bool { op is BatchNormInference && (1...2).contains(operand) }

    func initialValues(_ type: TensorType, _ random: RandomSource) -> [Float] {
        var random = random
        let fanIn = Double(max(1, type.shape.dropFirst().reduce(1, *)))
        switch op {
        case is BatchNorm where operand == 1, is BatchNormInference where operand == 2 || operand == 3:
            return [Float](repeating: 1, count: type.count)
        case is Conv2D where operand == 1:
            return (0..<type.count).map { _ in Float(random.normal(deviation: (2 / fanIn).squareRoot())) }
        default:
            guard type.rank > 1 else { return [Float](repeating: 0, count: type.count) }
            let isTransposed = if let product = op as? MatMul { operand == 1 && !product.transposesB } else { false }
            let inputs = isTransposed ? Double(type.shape[type.rank - 2]) : fanIn
            let bound = 1 / max(1, inputs).squareRoot()
            return (0..<type.count).map { _ in Float(random.uniform(in: -bound..<bound)) }
        }
    }
}

extension Graph {
    /// The use of every value that decides how it starts, by identity. Views and the like between a parameter and its
    /// operator (the slice of a shared filter) are looked through.
    fileprivate func firstUses() -> [ParameterUse] {
        var uses = [ParameterUse](repeating: ParameterUse(), count: valueCount)
        // Backwards, so that a view's result has its use before the view hands it to the operand.
        for node in nodes.reversed() {
            for (index, operand) in node.operands.enumerated() {
                let passes = node.op.isView || node.op is Slice || node.op is Identity
                uses[operand.id] =
                    passes && index == 0 ? uses[node.results[0].id] : ParameterUse(op: node.op, operand: index)
            }
        }
        return uses
    }
}
