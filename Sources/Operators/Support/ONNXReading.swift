import IR

/// What many operators' import facets ask of a node.
extension ONNXNode {
    /// The integers of an operand that must be constant.
    ///
    /// - Throws: ``ONNXImportError`` (`unsupported`) when it depends on data, (`malformed`) when it is missing or no vector
    ///   or scalar of integers.
    public func integers(_ index: Int, in g: GraphBuilder, called name: String) throws(ONNXImportError) -> [Int] {
        let value = try required(index)
        guard let literal = g.constant(of: value) else {
            throw .unsupported("\(name) (operand \(index)) depends on data; only constants can be compiled")
        }
        guard literal.element.isInteger, literal.shape.count < 2 else {
            throw .malformed("\(name) (operand \(index)) should be a list of integers, found \(literal.type)")
        }
        return literal.integers.map { Int($0) }
    }

    /// The attribute `axis`, counted from the front.
    public func axis(default value: Int, rank: Int) throws(ONNXImportError) -> Int {
        let axis = try int("axis", default: value)
        let normal = axis < 0 ? axis + rank : axis
        guard (0..<max(rank, 1)).contains(normal) else {
            throw .malformed("axis \(axis) is outside a tensor of rank \(rank)")
        }
        return normal
    }
}

extension GraphBuilder {
    /// `value` in another shape of as many elements, as the only result of a node.
    mutating func reshaped(_ value: Value, _ shape: [Int], _ node: ONNXNode) throws(ONNXImportError) -> [Value] {
        do throws(ShapeError) { return [try append(Reshape(shape), value, name: node.name)] } catch {
            throw .malformed(error.description)
        }
    }

    /// `value` broadcast to a shape.
    mutating func broadcast(_ value: Value, to shape: [Int]) throws(ONNXImportError) -> Value {
        guard shape.allSatisfy({ $0 >= 0 }), shape.reduce(1.0, { $0 * Double($1) }) < 0x1p31 else {
            throw .malformed("the shape \(shape) is negative somewhere or too large")
        }
        do throws(ShapeError) { return try append(BroadcastTo(shape), value) } catch { throw .malformed(error.description) }
    }
}
