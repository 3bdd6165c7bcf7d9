import IR
import Operators
import Passes

extension Pipeline {
    /// From a deployable graph to one whose nodes carry the schedules of a target's fast kernels.
    ///
    /// - Parameters:
    ///   - unit: the target's vector registers and caches.
    ///   - exact: whether transforms that round differently from the plain sum (Winograd's) are left out.
    public static func schedule(for unit: VectorUnit, exact: Bool = false) -> Pipeline {
        Pipeline(
            [
                fuseAttention(for: unit), chainConvolutions(for: unit), fuseBlocks(for: unit),
                joinConvolutions(for: unit), scheduleKernels(for: unit, exact: exact),
                orderForMemory(scratchBytes: CWriter.scratchBytes(of:)),
            ],
            stage: .deployable)
    }
}

/// Makes every convolution that the fast kernels know a chain of one stage, with a bias.
///
/// Runs after epilogues are fused, before blocks are. Without it no convolution gets a fast kernel.
///
///     %1 = fused_conv2d %x, %w {activation = "relu"}     →     %1 = convolution_chain %x, %w, %b {stages = […]}
public func chainConvolutions(for unit: VectorUnit) -> Pass {
    Pass("chain-convolutions") { graph throws(PassError) in
        let constants = graph.constants
        return try graph.rewritten { node, operands, g throws(PassError) in
            let convolution: Conv2D
            var stage: ConvolutionChain.Stage
            var biased = false, residual: Value?
            switch node.op {
            case let op as Conv2D:
                convolution = op
                stage = .init(op)
                biased = operands.count == 3
            case let op as FusedConv2D:
                convolution = op.convolution
                stage = .init(convolution, function: op.activation, parameters: op.parameters)
                biased = op.addsBias
                residual = op.addsResidual ? operands.last : nil
            default: return nil
            }
            let filter = graph.type(of: node.operands[1]), result = graph.type(of: node.results[0])
            guard node.schedule.isEmpty, constants[node.operands[1]] != nil,
                !biased || constants[node.operands[2]] != nil,
                hasKernel(stage, graph.type(of: node.operands[0]), filter, result, unit, adds: residual != nil)
            else { return nil }
            let bias = biased ? operands[2] : g.constant(Literal([Float](repeating: 0, count: filter.shape[0])))
            do throws(ShapeError) {
                if convolution.groups > 1, let addend = residual {
                    // Depthwise kernels add nothing: the sum and what follows it stay operators of their own.
                    let activation = try (node.op as? FusedConv2D)?.activationOperator()
                    let chain = ConvolutionChain([.init(convolution)], residual: false)
                    let image = try g.append(chain, operands[0], operands[1], bias, name: node.name)
                    let sum = try g.append(Add(), image, addend, name: node.name)
                    guard let activation else { return [sum] }
                    return try g.appendAll(activation, [sum], name: node.name)
                }
                let op = ConvolutionChain([stage], residual: residual != nil)
                return try g.appendAll(
                    op, [operands[0], operands[1], bias] + (residual.map { [$0] } ?? []), name: node.name)
            } catch { throw PassError(error) }
        }
    }
}

private func hasKernel(
    _ stage: ConvolutionChain.Stage, _ x: TensorType, _ filter: TensorType, _ y: TensorType, _ unit: VectorUnit,
    adds: Bool
) -> Bool {
    guard x.element == .f32, filter.element == .f32, x.rank == 4, x.shape[0] == 1, y.count > 0,
        LayerWindow(stage.convolution.window(filter)) != nil, PointwiseFunction(stage.function, stage.parameters) != nil
    else { return false }
    let groups = stage.convolution.groups, pixels = x.shape[2] * x.shape[3], outputs = y.shape[2] * y.shape[3]
    let depthwise = groups > 1 && groups == filter.shape[0] && filter.shape[1] == 1 && x.shape[1] == groups
    guard groups == 1 || depthwise else { return false }
    // Single pixels lie without padding, so that whole vectors may not fit.
    if depthwise || adds, pixels == 1 || outputs == 1 {
        return x.shape[1] % unit.lanes == 0 && y.shape[1] % unit.lanes == 0 && !depthwise
    }
    // A window that moves over more than it covers, or lies outside the image altogether, is not worth a kernel.
    let w = stage.convolution.window(filter)
    return pixels == outputs
        || (w.padding[0] < w.kernel[0] * w.dilation[0] && w.padding[1] < w.kernel[1] * w.dilation[1])
}

/// Joins expand, depthwise and project into one chain, and takes in the factors and means of squeeze-and-excite.
///
/// Runs on chains of one stage. Without it the values between travel through memory.
///
///     %1 = convolution_chain %x, … {stages = [a]}
///     %2 = convolution_chain %1, … {stages = [b]}     →     %3 = convolution_chain %x, … {stages = [a, b, c]}
///     %3 = convolution_chain %2, … {stages = [c]}
public func fuseBlocks(for unit: VectorUnit) -> Pass {
    Pass("fuse-blocks") { graph throws(PassError) in
        var e = NodeEditor(graph)
        for index in graph.nodes.indices {
            guard let node = e.nodes[index] else { continue }
            switch node.op {
            case is Multiply: takeFactors(node, index, &e)
            case let op as MaxPool2D: takePooling(op, node, index, &e)
            case let op as ConvolutionChain where op.isDepthwise: fuseBlock(op, node, index, &e, unit)
            default: break
            }
        }
        return e.finish()
    }
}

extension ConvolutionChain {
    var isDepthwise: Bool { stages.count == 1 && stages[0].convolution.groups > 1 }
    var isPlainPoint: Bool {
        stages.count == 1
            && stages[0].convolution == Conv2D(stride: [1, 1], dilation: [1, 1], padding: [0, 0, 0, 0], groups: 1)
    }
}

private func isPoint(_ op: ConvolutionChain, _ node: Node, _ e: NodeEditor) -> Bool {
    op.isPlainPoint && e.type(node.operands[1]).shape[2...] == [1, 1]
}

private func takeFactors(_ node: Node, _ index: Int, _ e: inout NodeEditor) {
    for (x, s) in [(node.operands[0], node.operands[1]), (node.operands[1], node.operands[0])] {
        let image = e.type(x)
        guard image.rank == 4, image.shape[2] * image.shape[3] > 1, e.type(s).shape == [1, image.shape[1], 1, 1],
            let reader = e.onlyReader(of: node.results[0]), var op = reader.node.op as? ConvolutionChain, !op.scaled,
            reader.node.operands[0] == node.results[0], isPoint(op, reader.node, e)
        else { continue }
        var operands = reader.node.operands
        operands[0] = x
        operands.insert(s, at: 3)
        op.scaled = true
        let fused = Node(op, operands, reader.node.results, name: reader.node.name)
        e.replace([index, reader.index], by: fused, at: reader.index)
        return
    }
}

/// A stem and the pooling behind it become one, so that the large image between is never written.
private func takePooling(_ op: MaxPool2D, _ node: Node, _ index: Int, _ e: inout NodeEditor) {
    guard let stem = e.maker(of: node.operands[0], ConvolutionChain.self), isStem(stem.node, e.graph),
        e.uses[node.operands[0].id] == 1, stem.op.stages.count == 1, !stem.op.isDepthwise, !stem.op.residual,
        !stem.op.scaled, !stem.op.means, stem.op.pooling.isEmpty, let window = LayerWindow(op.window),
        window.dilation == 1, e.type(node.results[0]).shape[2...].reduce(1, *) > 1
    else { return }
    // Every window should reach into the image.
    let x = e.type(node.operands[0]).shape, y = e.type(node.results[0]).shape
    for d in 0..<2 {
        guard op.window.padding[d] < window.size, (y[2 + d] - 1) * window.stride - op.window.padding[d] < x[2 + d]
        else { return }
    }
    let fused = ConvolutionChain(stem.op.stages, pooling: [op.window])
    e.replace([stem.index, index], by: Node(fused, stem.node.operands, node.results, name: stem.node.name), at: index)
}

private func fuseBlock(_ op: ConvolutionChain, _ node: Node, _ index: Int, _ e: inout NodeEditor, _ unit: VectorUnit) {
    guard !op.residual, !op.scaled, op.pooling.isEmpty else { return }
    var stages = op.stages, operands = node.operands, results = node.results, old = [index], at = index
    var name = node.name
    if let before = e.maker(of: operands[0], ConvolutionChain.self), e.uses[operands[0].id] == 1,
        before.op.stages.count == 1,
        !before.op.residual, !before.op.scaled, !before.op.means, !before.op.isDepthwise, before.op.pooling.isEmpty,
        isPoint(before.op, before.node, e) || isStem(before.node, e.graph)
    {
        stages = before.op.stages + stages
        operands = before.node.operands + operands.dropFirst()
        old.append(before.index)
    }
    var fused = ConvolutionChain(stages)
    if let after = e.onlyReader(of: results[0]), let last = after.node.op as? ConvolutionChain, !last.scaled,
        isPoint(last, after.node, e),
        after.node.operands[0] == results[0]
    {
        fused.stages += last.stages
        fused.residual = last.residual
        operands += after.node.operands.dropFirst()
        results = after.node.results
        old.append(after.index)
        at = after.index
        name = after.node.name
    } else if let mean = e.nodes.indices.first(where: { i in
        guard let node = e.nodes[i], let op = node.op as? ReduceMean else { return false }
        return node.operands == [results[0]] && op == ReduceMean(axes: [2, 3], keepsDimensions: true)
    }), let reader = e.nodes[mean] {
        fused.means = true
        results.append(reader.results[0])
        old.append(mean)
    }
    guard old.count > 1 else { return }
    e.replace(old, by: Node(fused, operands, results, name: name), at: at)
}

/// Whether a convolution reads few channels as planes, straight from the caller.
func isStem(_ node: Node, _ graph: Graph) -> Bool {
    let x = graph.type(of: node.operands[0])
    return graph.inputs.contains(node.operands[0]) && x.shape[1] <= 4 && x.shape[2] * x.shape[3] > 1
}

/// Lets convolutions write their results side by side where a concatenation would copy them.
///
/// Runs after blocks are fused. Without it graphs stay right, and the parts are copied.
///
///     %1 = convolution_chain %x, %v, %a
///     %2 = convolution_chain %x, %w, %b     →     %3 = joined_convolutions %x, %v, %a, %x, %w, %b {branches = […]}
///     %3 = concat %1, %2 {axis = 1}
public func joinConvolutions(for unit: VectorUnit) -> Pass {
    Pass("join-convolutions") { graph throws(PassError) in
        var e = NodeEditor(graph)
        for index in graph.nodes.indices {
            guard let node = e.nodes[index], let concat = node.op as? Concat, e.type(node.results[0]).rank == 4,
                concat.axis == 1 || concat.axis == -3, Set(node.operands).count == node.operands.count
            else { continue }
            var branches: [ConvolutionChain.Stage] = [], operands: [Value] = [], old = [index]
            for operand in node.operands {
                guard e.uses[operand.id] == 1, let part = e.maker(of: operand, ConvolutionChain.self),
                    part.op.stages.count == 1,
                    !part.op.residual, !part.op.scaled, !part.op.means, !part.op.isDepthwise, !isStem(part.node, graph),
                    e.type(operand).shape[1] % unit.lanes == 0, e.type(operand).shape[2] * e.type(operand).shape[3] > 1
                else { break }
                branches.append(part.op.stages[0])
                operands += part.node.operands
                old.append(part.index)
            }
            guard branches.count == node.operands.count else { continue }
            e.replace(old, by: Node(JoinedConvolutions(branches), operands, node.results, name: node.name), at: index)
        }
        return e.finish()
    }
}
