public import IR
import Operators

/// Moves whole regions of images to channels-last memory, where the fast kernels are.
///
/// Runs after the gradient transform and before planning. Optional: without it graphs stay right, only slower.
/// Operators that work on images get them channels-last, elementwise and shape operators follow their operands or readers, all others
/// stay plain; a value gets a reorder at most once a layout, so none is left inside a region. Inputs and outputs keep
/// the layout they have. Reorders that were there before are chosen anew.
///
///     %1 = conv2d %x, %w    : f32[1,8,4,4]         %1 = reorder %x        : f32[1,3,4,4]@nhwc
///     %2 = relu %1          : f32[1,8,4,4]    →    %2 = conv2d %1, %w     : f32[1,8,4,4]@nhwc
///     return %2                                    %3 = relu %2           : f32[1,8,4,4]@nhwc
///                                                  %4 = reorder %3        : f32[1,8,4,4]
///                                                  return %4
///
/// - Parameters:
///   - padding: channels are padded with zeros to a multiple of this.
///   - accepts: which nodes may work on channels-last images, of those whose operators' layout rules allow it.
public func chooseLayout(
    padding: Int = 1, accepts: @escaping @Sendable (Node, Graph) -> Bool = { _, _ in true }
) -> Pass {
    Pass("choose-layout") { graph throws(PassError) in
        let choice = LayoutChoice(graph, .channelsLast(padding: padding), accepts)
        do throws(ShapeError) { return try choice.rewritten() } catch { throw PassError(error) }
    }
}

private struct LayoutChoice {
    let graph: Graph
    let target: Layout
    /// Which operands and results of each node are channels-last; `nil` for nodes that work on plain tensors.
    private var decisions: [Decision?]

    private struct Decision {
        var operands: [Bool]
        var results: [Bool]
    }

    init(_ graph: Graph, _ target: Layout, _ accepts: (Node, Graph) -> Bool) {
        self.graph = graph
        self.target = target
        decisions = []
        let wished = wishes(accepts)
        var isLast = [Bool](repeating: false, count: graph.valueCount)
        for input in graph.inputs { isLast[input.id] = graph.type(of: input).layout == target }
        for node in graph.nodes {
            let decision = accepts(node, graph) ? decide(node, isLast, wished) : nil
            decisions.append(decision)
            if node.op is Reorder {
                isLast[node.results[0].id] = isLast[node.operands[0].id]
            } else if let decision {
                for (result, last) in zip(node.results, decision.results) { isLast[result.id] = last }
            }
        }
    }

    /// Which values some reader would like channels-last.
    private func wishes(_ accepts: (Node, Graph) -> Bool) -> [Bool] {
        var wished = [Bool](repeating: false, count: graph.valueCount)
        for node in graph.nodes.reversed() {
            if node.op is Reorder {
                if wished[node.results[0].id] { wished[node.operands[0].id] = true }
                continue
            }
            guard accepts(node, graph) else { continue }
            switch node.op.layoutRule {
            case .plain: continue
            case .image, .images:
                for (operand, isImage) in zip(node.operands, images(node).operands) where isImage {
                    wished[operand.id] = true
                }
            case .following:
                guard node.results.contains(where: { wished[$0.id] }) else { continue }
                for operand in node.operands where isImage(operand) { wished[operand.id] = true }
            case .elementwise:
                guard let result = node.results.first, wished[result.id] else { continue }
                for operand in node.operands where graph.type(of: operand).shape == graph.type(of: result).shape {
                    wished[operand.id] = true
                }
            }
        }
        return wished
    }

    private func decide(_ node: Node, _ isLast: [Bool], _ wished: [Bool]) -> Decision? {
        switch node.op.layoutRule {
        case .plain: return nil
        case .image, .images: return images(node)
        case .following:
            let follows = node.operands.contains { isImage($0) && isLast[$0.id] }
            return follows || node.results.contains { isImage($0) && wished[$0.id] } ? images(node) : nil
        case .elementwise:
            guard let result = node.results.first, isImage(result) else { return nil }
            let shape = graph.type(of: result).shape
            let alike = node.operands.map { graph.type(of: $0).shape == shape }
            let follows = zip(node.operands, alike).contains { $1 && isLast[$0.id] }
            guard follows || wished[result.id] else { return nil }
            // Smaller operands are read by logical index: they stay as they are.
            return Decision(
                operands: zip(node.operands, alike).map { $1 || isLast[$0.id] },
                results: node.results.map { graph.type(of: $0).shape == shape })
        }
    }

    private func images(_ node: Node) -> Decision {
        if case .images(let operands, let results) = node.op.layoutRule {
            return Decision(
                operands: node.operands.indices.map { operands.contains($0) && isImage(node.operands[$0]) },
                results: node.results.indices.map { results.contains($0) && isImage(node.results[$0]) })
        }
        return Decision(operands: node.operands.map(isImage), results: node.results.map(isImage))
    }

    private func isImage(_ value: Value) -> Bool { graph.type(of: value).rank == 4 }

    func rewritten() throws(ShapeError) -> Graph {
        var g = GraphBuilder(name: graph.name)
        // Each value in the layout it was made in, and in the other one once somebody has asked for it.
        var made = [Value?](repeating: nil, count: graph.valueCount)
        var other = made
        func fetch(_ value: Value, last: Bool, _ g: inout GraphBuilder) throws(ShapeError) -> Value {
            guard let own = made[value.id] else { preconditionFailure("%\(value.id) is read before it is made") }
            let type = g.type(of: own).with(layout: last ? target : .plain)
            if g.type(of: own) == type { return own }
            if let known = other[value.id] { return known }
            let reordered = try g.append(Reorder(), own)
            g.setType(of: reordered, to: type)
            other[value.id] = reordered
            return reordered
        }
        for (input, name) in zip(graph.inputs, graph.inputNames) {
            made[input.id] = g.input(name, graph.type(of: input))
        }
        for (node, decision) in zip(graph.nodes, decisions) {
            if node.op is Reorder {
                made[node.results[0].id] = made[node.operands[0].id]
                other[node.results[0].id] = other[node.operands[0].id]
                continue
            }
            var operands: [Value] = []
            for (index, operand) in node.operands.enumerated() {
                operands.append(try fetch(operand, last: decision?.operands[index] ?? false, &g))
            }
            let types = node.results.indices.map { index in
                graph.type(of: node.results[index]).with(layout: decision?.results[index] ?? false ? target : .plain)
            }
            for (old, new) in zip(node.results, g.copy(node, operands: operands, types: types)) { made[old.id] = new }
        }
        var outputs: [Value] = []
        for output in graph.outputs {
            outputs.append(try fetch(output, last: graph.type(of: output).layout == target, &g))
        }
        return g.finish(outputs: outputs, names: graph.outputNames)
    }
}
