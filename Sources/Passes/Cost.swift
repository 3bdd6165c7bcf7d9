public import IR

/// What a graph costs, read off its operators and its memory plan.
public struct Cost: Hashable, Sendable {
    /// Multiply-accumulate operations of one run.
    public var macs = 0
    /// Values of parameters, and of floating-point constants that are more than a scalar.
    public var parameters = 0
    public var parameterBytes = 0
    /// The most memory that values between inputs and outputs need at once, scratch memory left out.
    public var peakBytes = 0
    /// Bytes of all inputs and outputs.
    public var interfaceBytes = 0

    public init() {}

    /// - Throws: ``ShapeError`` for an operator whose decomposition does not fit its operands.
    public init(of graph: Graph) throws(ShapeError) {
        for node in graph.nodes {
            macs += try node.macs(in: graph)
            let counts = node.op is Parameter || (node.op as? Constant)?.isWeight == true
            if counts {
                parameters += graph.type(of: node.results[0]).count
                parameterBytes += graph.type(of: node.results[0]).byteCount
            }
        }
        peakBytes = MemoryPlan(graph, options: .init(effort: .quick)).lowerBound
        interfaceBytes = (graph.inputs + graph.outputs).reduce(0) { $0 + graph.type(of: $1).byteCount }
    }
}

extension Node {
    /// Multiply-accumulate operations of this node: as its operator says, else those of the decomposition.
    ///
    /// - Throws: ``ShapeError`` when the decomposition does not fit the operands.
    public func macs(in graph: Graph) throws(ShapeError) -> Int {
        let types = graph.types(of: operands)
        if let macs = op.macs(types, graph.types(of: results)) { return macs }
        guard let meaning = try Interpreter.decomposition(of: op, types) else { return 0 }
        var total = 0
        for node in meaning.nodes { total += try node.macs(in: meaning) }
        return total
    }
}

extension Constant {
    fileprivate var isWeight: Bool { literal.element.isFloatingPoint && literal.count > 1 }
}
