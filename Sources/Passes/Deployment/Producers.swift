import IR

/// Finds the node that makes a value while a graph is being built.
struct Producers {
    private var scanned = 0
    private var indices: [Value: Int] = [:]

    /// The node of `g` that makes `value`; `nil` for an input.
    mutating func node(of value: Value, in g: GraphBuilder) -> Node? {
        while scanned < g.graph.nodes.count {
            for result in g.graph.nodes[scanned].results { indices[result] = scanned }
            scanned += 1
        }
        return indices[value].map { g.graph.nodes[$0] }
    }
}

/// Runs a step of a pass in which types are inferred anew.
func rewriting<T>(_ body: () throws(ShapeError) -> T) throws(PassError) -> T {
    do throws(ShapeError) { return try body() } catch { throw PassError(error) }
}

extension Literal {
    /// The same elements under another shape.
    func reshaped(_ shape: [Int]) -> Literal { Literal(element, shape, bytes: bytes) }

    /// The elements as one value for each of `channels`, when the literal broadcasts along dimension 1 of a tensor of the
    /// given rank alone; `nil` when it varies elsewhere.
    func perChannel(_ channels: Int, rank: Int, axis: Int = 1) -> [Double]? {
        if count == 1 && shape.count <= rank { return [Double](repeating: reals[0], count: channels) }
        let missing = rank - shape.count
        guard missing >= 0, count == channels, axis - missing >= 0, shape[axis - missing] == channels else {
            return nil
        }
        return reals
    }
}
