import IR
import Operators
import Passes

/// Gives nodes the fast kernels that know them, and moves the images between those to channels-last.
///
/// Runs last. Where a value goes from a fast kernel to portable code, or back, it is reordered; without the pass everything
/// stays portable. The decisions are printed with the node: kernel, vector width, tile of Winograd's transform, rows of a
/// fused block.
///
///     %1 = convolution_chain %x, %w, %b : f32[1,24,56,56]
///     ↓
///     %1 = convolution_chain %x, %w, %b … schedule {kernel = "convolution", …} : f32[1,24,56,56]@nhwc32
public func scheduleKernels(for unit: VectorUnit, exact: Bool) -> Pass {
    Pass("schedule-kernels") { graph throws(PassError) in
        var layouts = LayoutChoice(graph, unit)
        let scheduled = try graph.rewritten { node, operands, g throws(PassError) in
            try layouts.rewrite(node, operands, &g, exact: exact)
        }
        return withPlainOutputs(scheduled, unit)
    }
}

/// The caller gets row-major tensors.
private func withPlainOutputs(_ graph: Graph, _ unit: VectorUnit) -> Graph {
    guard graph.types(of: graph.outputs).contains(where: { $0.layout != .plain }) else { return graph }
    var g = GraphBuilder(name: graph.name)
    let inputs = zip(graph.inputNames, graph.inputs).map { g.input($0, graph.type(of: $1)) }
    let outputs = g.inline(graph, inputs: inputs).map { value in
        let type = g.type(of: value)
        return type.layout == .plain ? value : reordered(value, to: type.plain, unit, &g)
    }
    return g.finish(outputs: outputs, names: graph.outputNames)
}

private func reordered(_ value: Value, to type: TensorType, _ unit: VectorUnit, _ g: inout GraphBuilder) -> Value {
    var schedule = Schedule([Attribute("kernel", .string(ReorderKernel.name))])
    if unit.threads > 1 { schedule["threads"] = .integer(unit.threads) }
    let node = Node(Reorder(), [], [], schedule: schedule)
    return g.copy(node, operands: [value], types: [type])[0]
}

/// The values of the new graph in both layouts, as far as they are needed.
private struct LayoutChoice {
    let graph: Graph
    let unit: VectorUnit
    /// By value of the new graph: its twin in the other layout.
    private var plain: [Value: Value] = [:]
    private var packed: [Value: Value] = [:]

    init(_ graph: Graph, _ unit: VectorUnit) {
        self.graph = graph
        self.unit = unit
    }

    mutating func rewrite(_ node: Node, _ operands: [Value], _ g: inout GraphBuilder, exact: Bool) throws(PassError)
        -> [Value]?
    {
        guard node.schedule.isEmpty, !(node.op is any SourceOperator) else { return nil }
        switch node.op {
        case let op as ConvolutionChain:
            var inputs = operands
            if !isStem(node, graph) || op.stages[0].convolution.groups > 1 || op.scaled {
                inputs[0] = channelsLast(operands[0], &g)
            }
            if let r = op.residualOperand { inputs[r] = channelsLast(operands[r], &g) }
            return try append(node, inputs, ConvolutionKernel.name, &g, exact)
        case let op as JoinedConvolutions:
            var inputs = operands
            for i in op.branches.indices { inputs[3 * i] = channelsLast(operands[3 * i], &g) }
            return try append(node, inputs, ConvolutionKernel.name, &g, exact)
        case _
        where isImageOperator(node)
            && operands.contains(where: { g.type(of: $0).layout != .plain || packed[$0] != nil }):
            return try append(node, operands.map { channelsLast($0, &g) }, ImageKernel.name, &g, exact)
        default:
            let inputs = operands.map { toPlain($0, &g) }
            let constants = operands.map { g.constant(of: $0) != nil }
            if ProductKernel.takes(
                node.op, graph.types(of: node.operands), graph.type(of: node.results[0]), constants: constants, unit)
            {
                return try append(node, inputs, ProductKernel.name, &g, exact)
            }
            let types = graph.types(of: node.operands), result = graph.type(of: node.results[0])
            if RowKernel.takes(node.op, types, result) { return try append(node, inputs, RowKernel.name, &g, exact) }
            if BatchedProductKernel.takes(node.op, types, result) {
                return try append(node, inputs, BatchedProductKernel.name, &g, exact)
            }
            if let op = node.op as? Attention, AttentionKernel.takes(op, types, unit) {
                return try append(node, inputs, AttentionKernel.name, &g, exact)
            }
            if inputs == operands { return nil }
            return g.copy(node, operands: inputs, types: graph.types(of: node.results))
        }
    }

    /// Single pixels are vectors in either layout, and stay plain.
    private func isImage(_ type: TensorType) -> Bool {
        type.rank == 4 && type.element == .f32 && type.shape[0] == 1 && type.shape[2] * type.shape[3] > 1
    }

    private mutating func channelsLast(_ value: Value, _ g: inout GraphBuilder) -> Value {
        let type = g.type(of: value)
        guard isImage(type), type.layout == .plain else { return value }
        if let known = packed[value] { return known }
        let twin = reordered(value, to: type.with(layout: layout(type)), unit, &g)
        packed[value] = twin
        return twin
    }

    private mutating func toPlain(_ value: Value, _ g: inout GraphBuilder) -> Value {
        let type = g.type(of: value)
        guard type.layout != .plain else { return value }
        if let known = plain[value] { return known }
        let twin = reordered(value, to: type.plain, unit, &g)
        plain[value] = twin
        return twin
    }

    private func layout(_ type: TensorType) -> Layout {
        let stride = unit.pixelStride(type.shape[1]), whole = unit.vectors(type.shape[1]) * unit.lanes
        return .channelsLast(padding: stride == whole ? unit.lanes : stride)
    }

    private func append(
        _ node: Node, _ operands: [Value], _ kernel: String, _ g: inout GraphBuilder, _ exact: Bool
    ) throws(PassError) -> [Value] {
        var schedule = Schedule([
            Attribute("kernel", .string(kernel)), Attribute("lanes", .integer(unit.lanes)),
            Attribute("registers", .integer(unit.registers)),
            Attribute("cache", .integer(unit.l2)),
        ])
        // Kernels of rows and matrices write rows, whatever the shape; four dimensions need not be an image.
        let isSpatial = kernel == ConvolutionKernel.name || kernel == ImageKernel.name
        let types = graph.types(of: node.results).map {
            isSpatial && isImage($0) ? $0.with(layout: layout($0)) : $0
        }
        if unit.threads > 1 { schedule["threads"] = .integer(unit.threads) }
        if kernel == ConvolutionKernel.name {
            var constants: [Int: Literal] = [:]
            for (i, operand) in operands.enumerated() { constants[i] = g.constant(of: operand) }
            let choice: ScheduleChoice
            do throws(ExportError) {
                choice = try ConvolutionKernel.choose(
                    NodeSite(
                        Node(node.op, node.operands, node.results, name: node.name, schedule: schedule),
                        operands: g.types(of: operands),
                        results: types, constants: constants), exact: exact)
            } catch { throw PassError(error.description) }
            if let winograd = choice.winograd { schedule["winograd"] = .integer(winograd) }
            if let band = choice.band { schedule["band"] = .integer(band) }
            if let split = choice.split { schedule["split"] = .string(split.rawValue) }
        }
        if kernel == ProductKernel.name, unit.threads > 1,
            let shape = ProductKernel.shape(node.op, g.types(of: operands), types[0])
        {
            schedule["split"] = .string(ProductKernel.defaultSplit(shape, unit).rawValue)
        }
        return g.copy(Node(node.op, [], [], name: node.name, schedule: schedule), operands: operands, types: types)
    }

    private func isImageOperator(_ node: Node) -> Bool {
        let x = graph.types(of: node.operands), y = graph.type(of: node.results[0])
        guard let first = x.first, isImage(first), y.element == .f32 else { return false }
        if let op = node.op as? ReduceMean { return op.axes.map { $0 < 0 ? $0 + 4 : $0 }.sorted() == [2, 3] }
        guard y.rank == 4, y.shape[0] == 1 else { return false }
        switch node.op {
        case let op as MaxPool2D: return isImage(y) && LayerWindow(op.window).map { $0.dilation == 1 } ?? false
        case let op as AveragePool2D:
            return isImage(y) && op.excess == [0, 0] && LayerWindow(op.window).map { $0.dilation == 1 } ?? false
        case let op as Concat: return (op.axis == 1 || op.axis == -3) && x.allSatisfy(isImage)
        case is Add: return x.count == 2 && x[0] == x[1]
        case is Multiply:
            return x.count == 2 && x[1].shape == [1, first.shape[1], 1, 1] && first.shape[1] % unit.lanes == 0
        case let op as any ParametricActivation: return PointwiseFunction(op.mnemonic, op.parameters) != nil
        default: return false
        }
    }
}

/// What a kernel's schedule leaves open until the node is known.
struct ScheduleChoice {
    var winograd: Int?
    var band: Int?
    var split: Split?
}
