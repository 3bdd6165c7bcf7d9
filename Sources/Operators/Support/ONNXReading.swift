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
        return literal.integers.map { Int($0).clampedToSize }
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
        do throws(ShapeError) { return try append(BroadcastTo(shape), value) } catch {
            throw .malformed(error.description)
        }
    }
}

extension GraphBuilder {
    /// Appends an operator with one result while an ONNX node is read: shape errors mean that the file is wrong.
    mutating func apply(_ op: any Operator, _ operands: Value..., name: String? = nil) throws(ONNXImportError) -> Value
    {
        do throws(ShapeError) { return try appendAll(op, operands, name: name)[0] } catch {
            throw .malformed(error.description)
        }
    }
}

extension ONNXNode {
    /// The operand at `index` when it is there, every one of them being constant or not.
    func all() throws(ONNXImportError) -> [Value] {
        var operands: [Value] = []
        for index in inputs.indices { operands.append(try required(index)) }
        return operands
    }

    /// Before opset 7 the second operand's dimensions were lined up with the first's from `axis` on, when `broadcast` was set.
    func aligned(_ a: Value, _ b: Value, in g: inout GraphBuilder) throws(ONNXImportError) -> Value {
        guard opset < 7, try int("broadcast", default: 0) != 0, attributes["axis"] != nil else { return b }
        let (rank, shape) = (g.type(of: a).rank, g.type(of: b).shape)
        let start = try axis(default: 0, rank: rank)
        guard start + shape.count <= rank else { throw .malformed("axis \(start) leaves no room for shape \(shape)") }
        return try g.apply(Reshape(shape + [Int](repeating: 1, count: rank - start - shape.count)), b)
    }
}
