import IR
import Operators

/// Matrix products with constant weights, packed when the program is written.
struct ProductKernel: ScheduledKernel {
    static let name = "product"

    /// A product's parts: `y[M, N] = f(a[M, K] · w + bias + residual)`.
    struct Shape {
        var rows: Int
        var depth: Int
        var columns: Int
        var transposed: Bool
        var bias: Int?
        var residual: Int?
        var function: PointwiseFunction
    }

    /// What the node computes; `nil` where the kernel does not know it.
    static func shape(_ op: any Operator, _ x: [TensorType], _ y: TensorType) -> Shape? {
        guard x.count >= 2, x[1].rank == 2, x[0].rank >= 1, x.allSatisfy({ $0.element == .f32 }), y.count > 0,
            y.rank >= 1
        else { return nil }
        let columns = y.shape[y.rank - 1], rows = y.count / columns
        var shape = Shape(rows: rows, depth: 0, columns: columns, transposed: false, function: .identity)
        switch op {
        case is Linear:
            shape.transposed = true
            shape.bias = x.count == 3 ? 2 : nil
        case let op as MatMul:
            guard !op.transposesA else { return nil }
            shape.transposed = op.transposesB
        case let op as FusedMatMul:
            guard !op.transposesA, let function = PointwiseFunction(op.activation, op.parameters) else { return nil }
            shape.transposed = op.transposesB
            shape.function = function
            shape.bias = op.addsBias ? 2 : nil
            shape.residual = op.addsResidual ? x.count - 1 : nil
        default: return nil
        }
        shape.depth = x[1].shape[shape.transposed ? 1 : 0]
        guard x[0].count == rows * shape.depth, shape.depth > 0 else { return nil }
        return shape
    }

    /// What the shares of a product are made of where the schedule leaves it open.
    static func defaultSplit(_ shape: Shape, _ unit: VectorUnit) -> Split {
        let layer = Layer(
            kind: .dense(LayerWindow()), inputs: [0], output: 1,
            weights: [Float](repeating: 0, count: shape.depth * shape.columns))
        return LayerEmitter(LayerProgram(tensors: tensors(shape), layers: [layer], input: 0, output: 1), unit: unit)
            .defaultSplit(layer)
    }

    /// The operand and the result as one row of pixels.
    private static func tensors(_ shape: Shape) -> [LayerTensor] {
        [shape.depth, shape.columns].map {
            LayerTensor(height: 1, width: shape.rows, channels: $0, pixelStride: $0)
        }
    }

    /// Whether the node can have this kernel.
    static func takes(_ op: any Operator, _ x: [TensorType], _ y: TensorType, constants: [Bool], _ unit: VectorUnit)
        -> Bool
    {
        guard let shape = shape(op, x, y), constants[1], shape.bias.map({ constants[$0] }) ?? true else { return false }
        return shape.residual == nil || shape.columns % unit.lanes == 0
    }

    static func code(for site: NodeSite) throws(ExportError) -> NodeCode {
        let unit = try site.unit()
        guard let shape = shape(site.node.op, site.operands, site.results[0]) else {
            throw ExportError(.invalid, "kernel 'product' does not know \(site.node.op.mnemonic) of these types")
        }
        var weights = try site.literal(1)
        if !shape.transposed {
            let rows = weights
            for n in 0..<shape.columns {
                for k in 0..<shape.depth { weights[n * shape.depth + k] = rows[k * shape.columns + n] }
            }
        }
        var program = LayerProgram(
            tensors: tensors(shape),
            layers: [
                Layer(
                    kind: .dense(LayerWindow()), inputs: [0], output: 1, weights: weights,
                    bias: try shape.bias.map { b throws(ExportError) in try site.literal(b) } ?? [],
                    function: shape.function,
                    name: site.node.name ?? "")
            ], input: 0, output: 1)
        var places = LayerCode()
        places.places = [0: .operand(0), 1: .result(0)]
        places.weights = 1
        places.dropped = shape.bias.map { [$0] } ?? []
        if let residual = shape.residual {
            program.tensors.append(program.tensors[1])
            program.layers[0].residual = 2
            places.places[2] = .operand(residual)
        }
        var emitter = LayerEmitter(program, unit: unit, options: .init(split: try site.split()))
        emitter.emit()
        return places.code(emitter)
    }
}
