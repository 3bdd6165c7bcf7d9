import CONNX

/// Turns unpacked protobuf messages into the neutral model.
struct ONNXReader {
    /// Where external tensor data may lie; nil when the model has no place on disk.
    let folder: String?

    func model(_ message: Onnx__ModelProto) throws(ONNXError) -> ONNXModel {
        guard message.has_ir_version != 0, message.ir_version > 0 else {
            throw ONNXError(.malformed, "the model states no IR version")
        }
        guard let graphMessage = message.graph else { throw ONNXError(.malformed, "the model holds no graph") }
        let opsets = try operatorSets(message.opset_import, message.n_opset_import)
        var model = ONNXModel(graph: ONNXModel.Graph(), opsets: opsets)
        model.irVersion = message.ir_version
        model.producerName = Protobuf.text(message.producer_name)
        model.producerVersion = Protobuf.text(message.producer_version)
        model.domain = Protobuf.text(message.domain)
        model.modelVersion = message.has_model_version != 0 ? message.model_version : 0
        model.documentation = Protobuf.text(message.doc_string)
        model.metadata = Protobuf.list(message.metadata_props, message.n_metadata_props).map {
            ONNXModel.Entry(key: Protobuf.text($0.pointee.key), value: Protobuf.text($0.pointee.value))
        }
        for function in Protobuf.list(message.functions, message.n_functions) {
            model.functions.append(try self.function(function.pointee))
        }
        model.graph = try graph(graphMessage.pointee, opsets)
        try model.graph.order(enclosing: [])
        return model
    }

    private func operatorSets(
        _ list: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__OperatorSetIdProto>?>?, _ count: Int
    ) throws(ONNXError) -> [ONNXModel.OperatorSet] {
        var sets: [ONNXModel.OperatorSet] = []
        for entry in Protobuf.list(list, count) {
            let domain = normalised(Protobuf.text(entry.pointee.domain))
            let version = entry.pointee.has_version != 0 ? entry.pointee.version : 0
            guard version >= 1, version < 1 << 31 else {
                throw ONNXError(.malformed, "opset version \(version) of domain '\(domain)' is out of range")
            }
            guard !sets.contains(where: { $0.domain == domain }) else {
                throw ONNXError(.malformed, "the opset of domain '\(domain)' is stated twice")
            }
            sets.append(ONNXModel.OperatorSet(domain: domain, version: Int(version)))
        }
        return sets
    }

    /// `ai.onnx` is another name of the default domain.
    private func normalised(_ domain: String) -> String { domain == "ai.onnx" ? "" : domain }

    // MARK: Graphs

    func graph(_ message: Onnx__GraphProto, _ opsets: [ONNXModel.OperatorSet]) throws(ONNXError) -> ONNXModel.Graph {
        var graph = ONNXModel.Graph(name: Protobuf.text(message.name))
        func add(
            _ kind: String, called name: String, _ value: () throws(ONNXError) -> ONNXTensorValue
        ) throws(ONNXError) {
            guard !name.isEmpty else { throw ONNXError(.malformed, "\(kind) has no name") }
            do throws(ONNXError) {
                graph.initializers.append(.init(name: name, value: try value()))
            } catch {
                throw error.naming(subject: "initialiser '\(name)'")
            }
        }
        for initializer in Protobuf.list(message.initializer, message.n_initializer) {
            try add("an initialiser", called: Protobuf.text(initializer.pointee.name)) { () throws(ONNXError) in
                try tensor(initializer.pointee)
            }
        }
        for initializer in Protobuf.list(message.sparse_initializer, message.n_sparse_initializer) {
            // A sparse tensor is called by the name of its values.
            let name = Protobuf.text(initializer.pointee.values?.pointee.name)
            try add("a sparse initialiser", called: name) { () throws(ONNXError) in try dense(initializer.pointee) }
        }
        graph.inputs = valueInfos(message.input, message.n_input)
        graph.outputs = valueInfos(message.output, message.n_output)
        graph.valueInfos = valueInfos(message.value_info, message.n_value_info)
        graph.nodes = try nodes(message.node, message.n_node, opsets)
        return graph
    }

    private func nodes(
        _ list: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__NodeProto>?>?, _ count: Int,
        _ opsets: [ONNXModel.OperatorSet]
    ) throws(ONNXError) -> [ONNXModel.Node] {
        var nodes: [ONNXModel.Node] = []
        nodes.reserveCapacity(count)
        for entry in Protobuf.list(list, count) { nodes.append(try node(entry.pointee, opsets)) }
        return nodes
    }

    private func node(
        _ message: Onnx__NodeProto, _ opsets: [ONNXModel.OperatorSet]
    ) throws(ONNXError) -> ONNXModel.Node {
        let domain = normalised(Protobuf.text(message.domain))
        var node = ONNXModel.Node(
            Protobuf.text(message.op_type), name: Protobuf.text(message.name), version: 1,
            inputs: Protobuf.texts(message.input, message.n_input),
            outputs: Protobuf.texts(message.output, message.n_output))
        node.domain = domain
        node.overload = Protobuf.unknown(8, in: message.base).last.map { String(decoding: $0, as: UTF8.self) } ?? ""
        guard !node.operation.isEmpty else {
            throw ONNXError(.malformed, subject: node.label, "the node names no operator")
        }
        if let version = opsets.first(where: { $0.domain == domain })?.version {
            node.version = version
        } else if domain.isEmpty {
            throw ONNXError(.malformed, subject: node.label, "the model states no opset for the default domain")
        }
        for attribute in Protobuf.list(message.attribute, message.n_attribute) {
            let name = Protobuf.text(attribute.pointee.name)
            do throws(ONNXError) {
                guard node[name] == nil else { throw ONNXError(.malformed, "it is given twice") }
                node.attributes.append(.init(name, try self.attribute(attribute.pointee, opsets)))
            } catch {
                throw error.naming(subject: "attribute '\(name)'").naming(subject: node.label)
            }
        }
        return node
    }

    private func function(_ message: Onnx__FunctionProto) throws(ONNXError) -> ONNXModel.Function {
        let name = Protobuf.text(message.name)
        do throws(ONNXError) {
            let opsets = try operatorSets(message.opset_import, message.n_opset_import)
            var function = ONNXModel.Function(
                name: name, domain: normalised(Protobuf.text(message.domain)),
                inputs: Protobuf.texts(message.input, message.n_input),
                outputs: Protobuf.texts(message.output, message.n_output),
                attributes: Protobuf.texts(message.attribute, message.n_attribute), defaults: [],
                nodes: try nodes(message.node, message.n_node, opsets))
            // Fields that are newer than the installed schema: attributes with defaults, and the overload.
            for bytes in Protobuf.unknown(11, in: message.base) {
                let (key, value) = try Protobuf.withMessage(
                    bytes, connx_attribute_descriptor(), as: Onnx__AttributeProto.self, called: "AttributeProto"
                ) { (attribute) throws(ONNXError) in
                    (Protobuf.text(attribute.name), try self.attribute(attribute, opsets))
                }
                function.defaults.append(.init(key, value))
            }
            function.overload =
                Protobuf.unknown(13, in: message.base).last.map { String(decoding: $0, as: UTF8.self) } ?? ""
            return function
        } catch {
            throw error.naming(subject: "function '\(name)'")
        }
    }

    // MARK: Attributes

    func attribute(
        _ message: Onnx__AttributeProto, _ opsets: [ONNXModel.OperatorSet]
    ) throws(ONNXError) -> ONNXModel.AttributeValue {
        let reference = Protobuf.text(message.ref_attr_name)
        if !reference.isEmpty { return .reference(reference) }
        switch message.has_type != 0 && message.type.rawValue != 0 ? Int(message.type.rawValue) : impliedKind(message) {
        case 1: return .float(message.f)
        case 2: return .integer(Int(message.i))
        case 3: return .string(Protobuf.text(message.s))
        case 4:
            guard let tensor = message.t else { throw ONNXError(.malformed, "it holds no tensor") }
            return .tensor(try self.tensor(tensor.pointee))
        case 5:
            guard let graph = message.g else { throw ONNXError(.malformed, "it holds no graph") }
            return .graph(try self.graph(graph.pointee, opsets))
        case 6: return .floats(Protobuf.list(message.floats, message.n_floats))
        case 7: return .integers(Protobuf.list(message.ints, message.n_ints).map(Int.init))
        case 8: return .strings(Protobuf.list(message.strings, message.n_strings).map { Protobuf.text($0) })
        case 9:
            var tensors: [ONNXTensorValue] = []
            for entry in Protobuf.list(message.tensors, message.n_tensors) { tensors.append(try tensor(entry.pointee)) }
            return .tensors(tensors)
        case 10:
            var graphs: [ONNXModel.Graph] = []
            for entry in Protobuf.list(message.graphs, message.n_graphs) {
                graphs.append(try graph(entry.pointee, opsets))
            }
            return .graphs(graphs)
        case 11:
            guard let tensor = message.sparse_tensor else { throw ONNXError(.malformed, "it holds no sparse tensor") }
            return .tensor(try dense(tensor.pointee))
        case 12: throw ONNXError(.unsupported, "lists of sparse tensors are not supported")
        case 13: return .type(type(message.tp))
        case 14: throw ONNXError(.unsupported, "lists of types are not supported")
        default: throw ONNXError(.malformed, "it holds no value of a known kind")
        }
    }

    /// The kind of an attribute whose writer left it out, as old ones do: that of the field which is filled.
    private func impliedKind(_ message: Onnx__AttributeProto) -> Int {
        if message.has_f != 0 { return 1 }
        if message.has_i != 0 { return 2 }
        if message.has_s != 0 { return 3 }
        if message.t != nil { return 4 }
        if message.g != nil { return 5 }
        if message.n_floats > 0 { return 6 }
        if message.n_ints > 0 { return 7 }
        if message.n_strings > 0 { return 8 }
        if message.n_tensors > 0 { return 9 }
        if message.n_graphs > 0 { return 10 }
        if message.sparse_tensor != nil { return 11 }
        if message.n_sparse_tensors > 0 { return 12 }
        return 0
    }

    // MARK: Types

    private func valueInfos(
        _ list: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__ValueInfoProto>?>?, _ count: Int
    ) -> [ONNXModel.ValueInfo] {
        Protobuf.list(list, count).map {
            ONNXModel.ValueInfo(name: Protobuf.text($0.pointee.name), type: type($0.pointee.type))
        }
    }

    private func type(_ message: UnsafeMutablePointer<Onnx__TypeProto>?) -> ONNXModel.ValueType {
        guard let message else { return .undeclared }
        switch message.pointee.value_case {
        case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
            guard let tensor = message.pointee.tensor_type else { return .undeclared }
            let element = ONNXElementType(rawValue: tensor.pointee.elem_type)
            guard let shape = tensor.pointee.shape else { return .tensor(element, nil) }
            return .tensor(element, Protobuf.list(shape.pointee.dim, shape.pointee.n_dim).map { dimension($0.pointee) })
        case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE: return .other("sequence")
        case ONNX__TYPE_PROTO__VALUE_MAP_TYPE: return .other("map")
        case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE: return .other("optional")
        case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE: return .other("sparse tensor")
        default: return .undeclared
        }
    }

    private func dimension(_ message: Onnx__TensorShapeProto__Dimension) -> ONNXModel.Dimension {
        switch message.value_case {
        // Some writers say -1 for a size that is not known.
        case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE:
            return message.dim_value >= 0 ? .known(Int(message.dim_value)) : .unknown
        case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM:
            let name = Protobuf.text(message.dim_param)
            // A question mark is what some exporters call every size they do not know; it does not make them equal.
            return name.isEmpty || name == "?" ? .unknown : .symbolic(name)
        default: return .unknown
        }
    }
}
