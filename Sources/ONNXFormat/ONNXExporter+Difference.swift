import IR

extension ONNXExporter {
    /// Where a graph differs from what was read back from its file, in words; `nil` when both are the same program.
    ///
    /// Compared are inputs, outputs, and node by node the operator with all attributes, the operands, the result types and
    /// the name; constants by their bytes, and so are nodes over constants alone, which reading folds. Real attributes count
    /// as equal when they are as 32-bit numbers, which is what the file holds; nodes without a name get one by the export,
    /// and nodes that share a name are numbered. Operands that ONNX asks for and the operator leaves out, such as the scale of
    /// a normalisation that is not affine, are the constants which the export puts there.
    ///
    /// - Throws: ``AttributeError`` for an operator whose attributes cannot be written.
    public static func difference(between written: Graph, andReadBack read: Graph) throws -> String? {
        func ports(_ graph: Graph) -> [String] {
            zip(graph.inputNames, graph.types(of: graph.inputs)).map { "\($0): \($1)" }
                + zip(graph.outputNames, graph.types(of: graph.outputs)).map { "\($0): \($1)" }
        }
        if let (a, b) = zip(ports(written), ports(read)).first(where: { $0 != $1 }) {
            return "expected \(a), found \(b)"
        }
        let ((a, first), (b, second)) = (written.stepsAndConstants, read.stepsAndConstants)
        guard a.count == b.count, written.inputs.count == read.inputs.count, written.outputs.count == read.outputs.count
        else {
            let extra = zip(a, b).first { $0.op.mnemonic != $1.op.mnemonic }
            return "expected \(a.count) nodes, found \(b.count)"
                + (extra.map { "; the first that differs is \($0.title), read as \($1.title)" } ?? "")
        }
        var counterpart: [Value: Value] = Dictionary(uniqueKeysWithValues: zip(written.inputs, read.inputs))
        func isSame(_ value: Value, _ other: Value) -> Bool {
            if let constant = first[value] { return constant == second[other] }
            return counterpart[value] == other
        }
        for (node, found) in zip(a, b) {
            let (expected, actual) = (try node.signature(), try found.signature())
            guard expected == actual else { return "node \(node.title): expected \(expected), found \(actual)" }
            guard node.isNamed(as: found) else { return "node \(node.title): is named \(found.title) in the file" }
            let added = found.operands.dropFirst(node.operands.count).map { second[$0] }
            guard node.operands.count <= found.operands.count, zip(node.operands, found.operands).allSatisfy(isSame),
                added.isEmpty || added == node.constantsAddedByExport(from: written),
                written.types(of: node.results) == read.types(of: found.results)
            else { return "node \(node.title): has other operands or results in the file" }
            for (result, other) in zip(node.results, found.results) { counterpart[result] = other }
        }
        let isEqual = zip(written.outputs, read.outputs).allSatisfy(isSame)
        return isEqual ? nil : "its outputs come from other nodes in the file"
    }
}

extension Graph {
    /// The nodes that depend on an input, and the literals of all other values.
    fileprivate var stepsAndConstants: ([Node], [Value: Literal]) {
        var constants = constants
        let steps = nodes.filter { node in
            if node.op is Constant { return false }
            let literals = node.operands.compactMap { constants[$0] }
            guard !literals.isEmpty, literals.count == node.operands.count,
                let results = Interpreter.evaluate(node.op, literals)
            else { return true }
            for (value, literal) in zip(node.results, results) { constants[value] = literal }
            return false
        }
        return (steps, constants)
    }
}

extension Node {
    /// The literals that the node's ONNX form holds beside its operands.
    fileprivate func constantsAddedByExport(from graph: Graph) -> [Literal?] {
        (op.onnx(graph.types(of: operands), graph.types(of: results))?.inputs ?? []).compactMap {
            if case .constant(let literal) = $0 { literal } else { nil }
        }
    }

    fileprivate var title: String { name.map { AttributeValue.quote($0) } ?? op.mnemonic }

    fileprivate func isNamed(as other: Node) -> Bool {
        guard let name, name != other.name else { return true }
        guard let written = other.name, written.hasPrefix(name + "_") else { return false }
        return Int(written.dropFirst(name.count + 1)) != nil
    }

    /// The operator with its attributes as text, reals rounded to 32 bits.
    fileprivate func signature() throws -> String {
        // All attributes, not only those that differ from a default: one that was rounded to 32 bits no longer is the default.
        op.mnemonic + " " + AttributeValue.record(try AttributeCoder.attributes(of: op)).rounded.description
    }
}

extension AttributeValue {
    fileprivate var rounded: AttributeValue {
        switch self {
        case .real(let value): .real(Double(Float(value)))
        case .list(let values): .list(values.map(\.rounded))
        case .record(let attributes): .record(attributes.map { Attribute($0.name, $0.value.rounded) })
        case .bool, .integer, .string, .none: self
        }
    }
}
