/// What a graph must be legal for.
public enum Stage: String, Hashable, Sendable {
    /// Anything well-typed.
    case training
    /// No parameters, no operator that only trains: ready for ONNX or C.
    case deployable
}

/// A graph that breaks a rule.
public struct VerificationError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}

extension Graph {
    /// Checks single assignment, order of definitions, types against inference, layouts and the stage's rules.
    ///
    /// - Throws: ``VerificationError`` naming the node.
    public func verify(_ stage: Stage = .training) throws(VerificationError) {
        var defined = [Bool](repeating: false, count: valueCount)
        for input in inputs { defined[input.id] = true }
        var parameters = Set<String>()
        for (index, node) in nodes.enumerated() {
            let place =
                "node \(index) (\(node.op.mnemonic)\(node.name.map { " " + AttributeValue.quote($0) } ?? "")) of graph \(name)"
            for operand in node.operands where operand.id >= valueCount || !defined[operand.id] {
                throw VerificationError("\(place) reads %\(operand.id) before it is defined")
            }
            for result in node.results {
                guard result.id < valueCount, !defined[result.id] else {
                    throw VerificationError("\(place) defines %\(result.id) a second time")
                }
                defined[result.id] = true
            }
            let inferred: [TensorType]
            do { inferred = try node.op.inferPlain(types(of: node.operands)) } catch {
                throw VerificationError("\(place): \(error)")
            }
            guard inferred == types(of: node.results).map(\.plain) else {
                throw VerificationError(
                    "\(place) has results \(types(of: node.results)), but its operator gives \(inferred)")
            }
            try verifyLayouts(of: node, place)
            if node.op is Parameter {
                guard let name = node.name, parameters.insert(name).inserted else {
                    throw VerificationError("\(place): a parameter needs a name of its own")
                }
            }
            if stage == .deployable && (node.op is Parameter || node.op.isTrainingOnly) {
                throw VerificationError("\(place) cannot be deployed: it only has a meaning in training")
            }
        }
        for output in outputs where output.id >= valueCount || !defined[output.id] {
            throw VerificationError("graph \(name) returns %\(output.id), which is not defined")
        }
    }

    private func verifyLayouts(of node: Node, _ place: String) throws(VerificationError) {
        // A scheduled kernel takes the layouts that its schedule was made for, and checks them itself.
        guard node.schedule["kernel"] == nil else { return }
        let operands = types(of: node.operands), results = types(of: node.results)
        switch node.op.layoutRule {
        case .plain:
            if let odd = (operands + results).first(where: { $0.layout != .plain }) {
                throw VerificationError("\(place) works on plain tensors, found \(odd)")
            }
        case .elementwise:
            guard let result = results.first else { return }
            if let odd = operands.first(where: { $0.shape == result.shape && $0.layout != result.layout }) {
                throw VerificationError("\(place) mixes layouts: \(odd) and \(result)")
            }
        case .following:
            let images = (operands + results).filter { $0.rank == 4 }
            if let odd = images.first(where: { $0.layout != images[0].layout }) {
                throw VerificationError("\(place) mixes layouts: \(images[0]) and \(odd)")
            }
        case .image: return
        case .images(let imageOperands, let imageResults):
            let others =
                node.operands.indices.filter { !imageOperands.contains($0) }.map { operands[$0] }
                + node.results.indices.filter { !imageResults.contains($0) }.map { results[$0] }
            if let odd = others.first(where: { $0.layout != .plain }) {
                throw VerificationError("\(place) takes plain tensors but for its images, found \(odd)")
            }
        }
    }
}
