public import IR

/// What one run of a graph costs, read off the graph.
public struct GraphCost: Hashable, Sendable {
    /// Multiply-accumulate operations.
    public var macs: Int
    /// Elements of parameters and floating-point constants.
    public var parameterCount: Int
    /// Bytes of parameters and constants.
    public var weightBytes: Int

    public init(_ graph: Graph) {
        macs = graph.nodeMACs().reduce(0, +)
        parameterCount = 0
        weightBytes = 0
        for node in graph.nodes where node.op is any SourceOperator {
            let type = graph.type(of: node.results[0])
            weightBytes += type.byteCount
            if node.op is Parameter || type.element.isFloatingPoint { parameterCount += type.count }
        }
    }
}

extension Graph {
    /// The multiply-accumulate operations of each node: its own count, or that of its decomposition.
    public func nodeMACs() -> [Int] {
        nodes.map { node in
            let operands = types(of: node.operands)
            if let macs = node.op.macs(operands, types(of: node.results)) { return macs }
            guard let parts = try? Interpreter.decomposition(of: node.op, operands) else { return 0 }
            return parts.nodeMACs().reduce(0, +)
        }
    }
}
