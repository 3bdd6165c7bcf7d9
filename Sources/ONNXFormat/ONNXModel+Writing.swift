import CONNX

extension ONNXModel {
    /// The serialised model: the same bytes for equal models. Tensors are stored in `raw_data`.
    ///
    /// - Throws: ``ONNXError`` (`unsupported`) when the model still has functions, or exceeds protobuf's 2 GiB.
    public func serialized() throws(ONNXError) -> [UInt8] {
        guard functions.isEmpty else {
            throw ONNXError(.unsupported, file: file, "model-local functions are not written; inline them first")
        }
        let writer = ONNXWriter()
        let message = writer.model(self)
        let size = onnx__model_proto__get_packed_size(message)
        guard size < 1 << 31 else {
            throw ONNXError(.unsupported, file: file, "the model takes \(size) bytes; protobuf allows less than 2 GiB")
        }
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
            filled = onnx__model_proto__pack(message, buffer.baseAddress)
        }
    }
}

/// Builds protobuf-c messages from the neutral model.
private struct ONNXWriter {
    let arena = ProtobufArena()

    func model(_ model: ONNXModel) -> UnsafeMutablePointer<Onnx__ModelProto> {
        let message = arena.message(onnx__model_proto__init)
        message.pointee.has_ir_version = 1
        message.pointee.ir_version = model.irVersion
        message.pointee.n_opset_import = model.opsets.count
        message.pointee.opset_import = arena.pointers(model.opsets.map(operatorSet))
        message.pointee.producer_name = optional(model.producerName)
        message.pointee.producer_version = optional(model.producerVersion)
        message.pointee.domain = optional(model.domain)
        message.pointee.has_model_version = model.modelVersion == 0 ? 0 : 1
        message.pointee.model_version = model.modelVersion
        message.pointee.doc_string = optional(model.documentation)
        message.pointee.graph = graph(model.graph)
        message.pointee.n_metadata_props = model.metadata.count
        message.pointee.metadata_props = arena.pointers(model.metadata.map(entry))
        return message
    }

    private func optional(_ text: String) -> UnsafeMutablePointer<CChar>? {
        text.isEmpty ? nil : arena.text(text)
    }

    private func texts(_ texts: [String]) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> {
        arena.pointers(texts.map { arena.text($0) })
    }

    private func operatorSet(_ set: ONNXModel.OperatorSet) -> UnsafeMutablePointer<Onnx__OperatorSetIdProto> {
        let message = arena.message(onnx__operator_set_id_proto__init)
        // The default domain is written as the empty string, as the checker expects, not left out.
        message.pointee.domain = arena.text(set.domain)
        message.pointee.has_version = 1
        message.pointee.version = Int64(set.version)
        return message
    }

    private func entry(_ entry: ONNXModel.Entry) -> UnsafeMutablePointer<Onnx__StringStringEntryProto> {
        let message = arena.message(onnx__string_string_entry_proto__init)
        message.pointee.key = arena.text(entry.key)
        message.pointee.value = arena.text(entry.value)
        return message
    }

    // MARK: Graphs

    private func graph(_ graph: ONNXModel.Graph) -> UnsafeMutablePointer<Onnx__GraphProto> {
        let message = arena.message(onnx__graph_proto__init)
        message.pointee.name = optional(graph.name)
        message.pointee.n_node = graph.nodes.count
        message.pointee.node = arena.pointers(graph.nodes.map(node))
        message.pointee.n_initializer = graph.initializers.count
        message.pointee.initializer = arena.pointers(graph.initializers.map { tensor($0.value, name: $0.name) })
        message.pointee.n_input = graph.inputs.count
        message.pointee.input = arena.pointers(graph.inputs.map(valueInfo))
        message.pointee.n_output = graph.outputs.count
        message.pointee.output = arena.pointers(graph.outputs.map(valueInfo))
        message.pointee.n_value_info = graph.valueInfos.count
        message.pointee.value_info = arena.pointers(graph.valueInfos.map(valueInfo))
        return message
    }

    private func node(_ node: ONNXModel.Node) -> UnsafeMutablePointer<Onnx__NodeProto> {
        let message = arena.message(onnx__node_proto__init)
        message.pointee.name = optional(node.name)
        message.pointee.op_type = arena.text(node.operation)
        message.pointee.domain = optional(node.domain)
        message.pointee.n_input = node.inputs.count
        message.pointee.input = texts(node.inputs)
        message.pointee.n_output = node.outputs.count
        message.pointee.output = texts(node.outputs)
        message.pointee.n_attribute = node.attributes.count
        message.pointee.attribute = arena.pointers(node.attributes.map(attribute))
        return message
    }

    private func attribute(_ attribute: ONNXModel.Attribute) -> UnsafeMutablePointer<Onnx__AttributeProto> {
        let message = arena.message(onnx__attribute_proto__init)
        message.pointee.name = arena.text(attribute.name)
        let kind: Onnx__AttributeProto__AttributeType
        switch attribute.value {
        case .float(let value):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT
            message.pointee.has_f = 1
            message.pointee.f = value
        case .integer(let value):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT
            message.pointee.has_i = 1
            message.pointee.i = Int64(value)
        case .string(let value):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING
            message.pointee.has_s = 1
            message.pointee.s = arena.bytes(Array(value.utf8))
        case .tensor(let value):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR
            message.pointee.t = tensor(value, name: "")
        case .graph(let value):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH
            message.pointee.g = graph(value)
        case .floats(let values):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS
            message.pointee.n_floats = values.count
            message.pointee.floats = arena.array(values)
        case .integers(let values):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS
            message.pointee.n_ints = values.count
            message.pointee.ints = arena.array(values.map(Int64.init))
        case .strings(let values):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS
            message.pointee.n_strings = values.count
            message.pointee.strings = arena.array(values.map { arena.bytes(Array($0.utf8)) })
        case .tensors(let values):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSORS
            message.pointee.n_tensors = values.count
            message.pointee.tensors = arena.pointers(values.map { tensor($0, name: "") })
        case .graphs(let values):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPHS
            message.pointee.n_graphs = values.count
            message.pointee.graphs = arena.pointers(values.map(graph))
        case .type(let value):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO
            message.pointee.tp = type(value)
        case .reference(let name):
            kind = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED
            message.pointee.ref_attr_name = arena.text(name)
        }
        message.pointee.has_type = 1
        message.pointee.type = kind
        return message
    }

    // MARK: Tensors and types

    private func tensor(_ value: ONNXTensorValue, name: String) -> UnsafeMutablePointer<Onnx__TensorProto> {
        let message = arena.message(onnx__tensor_proto__init)
        message.pointee.name = optional(name)
        message.pointee.has_data_type = 1
        message.pointee.data_type = value.elementType.rawValue
        message.pointee.n_dims = value.dimensions.count
        message.pointee.dims = arena.array(value.dimensions.map(Int64.init))
        message.pointee.has_raw_data = 1
        message.pointee.raw_data = arena.bytes(value.bytes)
        return message
    }

    private func valueInfo(_ info: ONNXModel.ValueInfo) -> UnsafeMutablePointer<Onnx__ValueInfoProto> {
        let message = arena.message(onnx__value_info_proto__init)
        message.pointee.name = arena.text(info.name)
        message.pointee.type = type(info.type)
        return message
    }

    /// Types other than tensors are declared as nothing: this package writes tensors only.
    private func type(_ type: ONNXModel.ValueType) -> UnsafeMutablePointer<Onnx__TypeProto>? {
        guard case .tensor(let element, let dimensions) = type else { return nil }
        let tensor = arena.message(onnx__type_proto__tensor__init)
        tensor.pointee.has_elem_type = 1
        tensor.pointee.elem_type = element.rawValue
        if let dimensions {
            let shape = arena.message(onnx__tensor_shape_proto__init)
            shape.pointee.n_dim = dimensions.count
            shape.pointee.dim = arena.pointers(dimensions.map(dimension))
            tensor.pointee.shape = shape
        }
        let message = arena.message(onnx__type_proto__init)
        message.pointee.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
        message.pointee.tensor_type = tensor
        return message
    }

    private func dimension(
        _ dimension: ONNXModel.Dimension
    ) -> UnsafeMutablePointer<Onnx__TensorShapeProto__Dimension> {
        let message = arena.message(onnx__tensor_shape_proto__dimension__init)
        switch dimension {
        case .known(let size):
            message.pointee.value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
            message.pointee.dim_value = Int64(size)
        case .symbolic(let name):
            message.pointee.value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
            message.pointee.dim_param = arena.text(name)
        case .unknown: break
        }
        return message
    }
}
