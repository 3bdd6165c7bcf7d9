extension ONNXModel {
    /// The graph's inputs that a caller must give: those without an initialiser.
    public var requiredInputs: [ValueInfo] {
        let initialized = Set(graph.initializers.map(\.name))
        return graph.inputs.filter { !initialized.contains($0.name) }
    }

    /// This model with its inputs' open dimensions replaced by sizes.
    ///
    /// A symbolic dimension goes by its own name, a nameless one by its input's name, a dot and its axis: `image.0`.
    ///
    /// - Parameter leavesOthersOpen: whether dimensions without a size may stay open.
    /// - Throws: ``ONNXError`` (`openDimension`) naming a dimension that is left open and the option that fixes it;
    ///   (`mismatch`) for a name that no input has, or a size below one.
    public func fixing(dimensions: [String: Int], leavesOthersOpen: Bool = false) throws(ONNXError) -> ONNXModel {
        for (name, size) in dimensions.sorted(by: { $0.key < $1.key }) {
            guard size > 0 else { throw ONNXError(.mismatch, file: file, "dimension '\(name)' cannot be \(size)") }
        }
        var model = self
        let required = Set(requiredInputs.map(\.name))
        var used: Set<String> = []
        var known: [String] = []
        for index in model.graph.inputs.indices {
            let input = model.graph.inputs[index]
            guard case .tensor(let element, let shape?) = input.type else { continue }
            var fixed = shape
            for (axis, dimension) in shape.enumerated() {
                let key: String
                switch dimension {
                case .known: continue
                case .symbolic(let name): key = name
                case .unknown: key = "\(input.name).\(axis)"
                }
                if !known.contains(key) { known.append(key) }
                if let size = dimensions[key] {
                    used.insert(key)
                    fixed[axis] = .known(size)
                } else if required.contains(input.name), !leavesOthersOpen {
                    throw ONNXError(
                        .openDimension, file: file, subject: "input '\(input.name)'",
                        "dimension \(axis) is open ('\(key)'); give it a size, such as --dim \(key)=1")
                }
            }
            model.graph.inputs[index].type = .tensor(element, fixed)
        }
        if let stray = dimensions.keys.filter({ !used.contains($0) }).min() {
            let list = known.isEmpty ? "it has none" : "open dimensions: \(known.joined(separator: ", "))"
            throw ONNXError(.mismatch, file: file, "no input has an open dimension '\(stray)'; \(list)")
        }
        model.fixDeclarations(dimensions)
        return model
    }

    /// This model with its inputs' shapes as given, as when they are read off data.
    ///
    /// - Throws: ``ONNXError`` (`mismatch`) when a shape contradicts what the input declares.
    public func fixing(inputShapes: [String: [Int]]) throws(ONNXError) -> ONNXModel {
        var model = self
        var sizes: [String: Int] = [:]
        for index in model.graph.inputs.indices {
            let input = model.graph.inputs[index]
            guard let shape = inputShapes[input.name], case .tensor(let element, let declared) = input.type else {
                continue
            }
            if let declared {
                guard declared.count == shape.count else {
                    throw mismatch(input.name, shape, declared)
                }
                for (dimension, size) in zip(declared, shape) {
                    if case .known(let fixed) = dimension, fixed != size { throw mismatch(input.name, shape, declared) }
                    if case .symbolic(let name) = dimension {
                        guard sizes.updateValue(size, forKey: name) ?? size == size else {
                            throw ONNXError(
                                .mismatch, file: file, subject: "input '\(input.name)'",
                                "dimension '\(name)' is \(size) here, but another input's is different")
                        }
                    }
                }
            }
            model.graph.inputs[index].type = .tensor(element, shape.map { .known($0) })
        }
        model.fixDeclarations(sizes)
        return model
    }

    /// This model with inputs turned into constants, as when a shape arrives as an input but is known.
    ///
    /// - Throws: ``ONNXError`` (`mismatch`) for a name that is no input, or a value of another type.
    public func binding(_ values: [String: ONNXTensorValue]) throws(ONNXError) -> ONNXModel {
        var model = self
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            guard let index = model.graph.inputs.firstIndex(where: { $0.name == name }) else {
                throw ONNXError(.mismatch, file: file, "there is no input '\(name)' to bind")
            }
            if case .tensor(let element, _) = model.graph.inputs[index].type, element != value.elementType {
                throw ONNXError(
                    .mismatch, file: file, subject: "input '\(name)'",
                    "it is \(element), but the value is \(value.elementType)")
            }
            model.graph.inputs.remove(at: index)
            model.graph.initializers.removeAll { $0.name == name }
            model.graph.initializers.append(Initializer(name: name, value: value))
        }
        return model
    }

    private func mismatch(_ input: String, _ shape: [Int], _ declared: [Dimension]) -> ONNXError {
        ONNXError(
            .mismatch, file: file, subject: "input '\(input)'",
            "the given tensor is \(shape), but the model declares [\(declared.map(\.description).joined(separator: ", "))]"
        )
    }

    /// Puts sizes for symbols into the declarations of outputs and inner values.
    private mutating func fixDeclarations(_ sizes: [String: Int]) {
        func fixed(_ info: ValueInfo) -> ValueInfo {
            guard case .tensor(let element, let shape?) = info.type else { return info }
            let known = shape.map { dimension -> Dimension in
                if case .symbolic(let name) = dimension, let size = sizes[name] { return .known(size) }
                return dimension
            }
            return ValueInfo(name: info.name, type: .tensor(element, known))
        }
        graph.outputs = graph.outputs.map(fixed)
        graph.valueInfos = graph.valueInfos.map(fixed)
    }
}
