import IR
import Operators

extension Graph {
    /// The graph without the bounds before its conversions to integers, so that results beyond a type's range wrap around.
    func wrappingConversions() -> Graph {
        rewritten { node, operands, g in
            guard let cast = node.op as? Cast, cast.to.isInteger,
                let producer = g.graph.nodes.first(where: { $0.results == operands }), producer.op is Clip
            else { return nil }
            return g.copy(node, operands: producer.operands, types: self.types(of: node.results))
        }
    }
}
