import IR
import Operators

extension NodeSite {
    /// The vector unit that the schedule was made for.
    func unit() throws(ExportError) -> VectorUnit {
        guard case .integer(let lanes)? = node.schedule["lanes"],
            case .integer(let registers)? = node.schedule["registers"],
            [1, 4, 8, 16].contains(lanes), (8...32).contains(registers)
        else {
            throw ExportError(
                .invalid, "\(node.op.mnemonic): a kernel's schedule needs lanes (1, 4, 8 or 16) and registers (8 to 32)"
            )
        }
        var unit = VectorUnit(lanes: lanes, registers: registers)
        if let threads = decision("threads") {
            guard (1...64).contains(threads) else {
                throw ExportError(.invalid, "\(node.op.mnemonic): a schedule has 1 to 64 threads, found \(threads)")
            }
            unit.threads = threads
        }
        if case .integer(let bytes)? = node.schedule["cache"], bytes > 0 { unit.l2 = bytes }
        return unit
    }

    /// The schedule's `split`; `nil` where it leaves that open.
    func split() throws(ExportError) -> Split? {
        guard let value = node.schedule["split"] else { return nil }
        guard case .string(let name) = value, let split = Split(rawValue: name) else {
            let known = Split.allCases.map(\.rawValue).joined(separator: " or ")
            throw ExportError(.invalid, "\(node.op.mnemonic): a schedule's split is \(known), found \(value)")
        }
        return split
    }

    func decision(_ name: String) -> Int? {
        if case .integer(let value)? = node.schedule[name] { value } else { nil }
    }

    /// An image operand or result as the emitter sees it.
    func tensor(_ type: TensorType, _ unit: VectorUnit) throws(ExportError) -> LayerTensor {
        guard type.element == .f32, type.rank == 4, type.shape[0] == 1 else {
            throw ExportError(.invalid, "\(node.op.mnemonic): this kernel works on single f32 images, found \(type)")
        }
        var t = LayerTensor(height: type.shape[2], width: type.shape[3], channels: type.shape[1])
        switch type.layout {
        case .plain:
            t.planes = t.pixels > 1
            t.pixelStride = t.channels
        case .channelsLast(let padding):
            t.pixelStride = (t.channels + padding - 1) / padding * padding
            guard t.pixelStride! % unit.lanes == 0 else {
                throw ExportError(
                    .invalid, "\(node.op.mnemonic): channels should be padded to whole vectors, found \(type)")
            }
        }
        return t
    }

    func literal(_ operand: Int) throws(ExportError) -> [Float] {
        guard let literal = constants[operand] else {
            throw ExportError(
                .invalid, "\(node.op.mnemonic): operand \(operand) should be a constant, so that it can be packed")
        }
        return literal.floats
    }
}

extension LayerWindow {
    /// `nil` where the two dimensions differ, which the kernels do not know.
    init?(_ w: Window) {
        guard w.kernel[0] == w.kernel[1], w.stride[0] == w.stride[1], w.dilation[0] == w.dilation[1] else { return nil }
        self.init(
            size: w.kernel[0], stride: w.stride[0], dilation: w.dilation[0], top: w.padding[0], left: w.padding[1])
    }
}

extension PointwiseFunction {
    /// The function of a stage; `nil` for one that the kernels do not know.
    init?(_ mnemonic: String, _ parameters: [Double]) {
        switch mnemonic {
        case "": self = .identity
        case Relu.mnemonic: self = .relu
        case Clip.mnemonic where parameters.count == 2 && parameters.allSatisfy(\.isFinite):
            self = .clip(low: Float(parameters[0]), high: Float(parameters[1]))
        case HardSigmoid.mnemonic where parameters.count == 2:
            self = .hardSigmoid(slope: Float(parameters[0]), offset: Float(parameters[1]))
        case HardSwish.mnemonic: self = .hardSwish
        case Sigmoid.mnemonic: self = .sigmoid
        case Silu.mnemonic: self = .silu
        case Gelu.mnemonic: self = .gelu
        case Tanh.mnemonic: self = .tanh
        default: return nil
        }
    }
}

/// Convolutions of one graph node: a chain or branches that lie side by side.
struct ConvolutionKernel: ScheduledKernel {
    static let name = "convolution"

    static func code(for site: NodeSite) throws(ExportError) -> NodeCode {
        try emit(site).code
    }

    /// The default decisions for a node whose schedule names the vector unit alone.
    static func choose(_ site: NodeSite, exact: Bool) throws(ExportError) -> ScheduleChoice {
        let unit = try site.unit()
        var program = LayerProgram(tensors: [], layers: [], input: 0, output: 0)
        var places = LayerCode()
        try lower(site, unit, &program, &places)
        let emitter = LayerEmitter(program, unit: unit)
        var choice = ScheduleChoice()
        if unit.threads > 1 { choice.split = emitter.programSplit() }
        for (i, layer) in program.layers.enumerated() {
            switch layer.kind {
            case .dense(let window) where emitter.isWinogradCase(layer, window):
                let tile =
                    exact
                    ? 0 : emitter.winograd(program.tensors[layer.inputs[0]], program.tensors[layer.output])?.tile ?? 0
                choice.winograd = max(choice.winograd ?? 0, tile)
            case .depthwise where choice.split != .channels, .maximum where choice.split != .channels:
                let next = i + 1 < program.layers.count ? program.layers[i + 1] : nil
                choice.band = emitter.defaultBand(
                    producer: i > 0 ? program.layers[i - 1] : nil, middle: layer, project: next)
            default: break
            }
        }
        return choice
    }

    private static func lower(
        _ site: NodeSite, _ unit: VectorUnit, _ program: inout LayerProgram, _ places: inout LayerCode
    ) throws(ExportError) {
        switch site.node.op {
        case let op as ConvolutionChain: try chain(op, site, unit, &program, &places)
        case let op as JoinedConvolutions: try join(op, site, unit, &program, &places)
        default: throw ExportError(.invalid, "kernel 'convolution' does not know \(site.node.op.mnemonic)")
        }
    }

    /// The code, and what the emitter chose where the schedule leaves it open.
    static func emit(_ site: NodeSite) throws(ExportError) -> (code: NodeCode, emitter: LayerEmitter) {
        let unit = try site.unit()
        var program = LayerProgram(tensors: [], layers: [], input: 0, output: 0)
        var places = LayerCode()
        try lower(site, unit, &program, &places)
        var emitter = LayerEmitter(
            program, unit: unit,
            options: .init(
                winograd: site.decision("winograd"), band: site.decision("band"), split: try site.split()))
        emitter.emit()
        return (places.code(emitter), emitter)
    }

    private static func chain(
        _ op: ConvolutionChain, _ site: NodeSite, _ unit: VectorUnit, _ program: inout LayerProgram,
        _ places: inout LayerCode
    ) throws(ExportError) {
        program.tensors = [try site.tensor(site.operands[0], unit)]
        places.places[0] = .operand(0)
        places.weights = 1
        places.dropped = Array(2..<(1 + 2 * op.stages.count))
        var type = site.operands[0]
        for (i, stage) in op.stages.enumerated() {
            let last = i == op.stages.count - 1 && op.pooling.isEmpty
            let filter = site.operands[1 + 2 * i]
            do throws(ShapeError) { type = try stage.convolution.infer([type.plain, filter])[0] } catch {
                throw ExportError(.invalid, error.description)
            }
            var tensor: LayerTensor
            if last {
                tensor = try site.tensor(site.results[0], unit)
            } else {
                tensor = try site.tensor(
                    type.with(layout: .channelsLast(padding: unit.pixelStride(type.shape[1]))), unit)
            }
            if last && tensor.planes {
                throw ExportError(.invalid, "\(op.mnemonic): the result should be channels-last")
            }
            tensor.parent = nil
            program.tensors.append(tensor)
            let output = program.tensors.count - 1
            var layer = try self.layer(stage, filter, site, weights: 1 + 2 * i, input: output - 1, output: output)
            if last { places.places[output] = .result(0) }
            if i == 0, let factors = op.factorsOperand {
                program.tensors.append(try site.tensor(site.operands[factors], unit))
                // The factor's tensor comes behind, so that stages stay consecutive.
                places.places[program.tensors.count - 1] = .operand(factors)
                layer.scale = program.tensors.count - 1
            }
            if last, let residual = op.residualOperand {
                program.tensors.append(try site.tensor(site.operands[residual], unit))
                places.places[program.tensors.count - 1] = .operand(residual)
                layer.residual = program.tensors.count - 1
            }
            program.layers.append(layer)
            if i > 0 { program.layers[i].inputs = [program.layers[i - 1].output] }
            program.output = output
        }
        if let pooling = op.pooling.first {
            guard let window = LayerWindow(pooling) else {
                throw ExportError(.invalid, "\(op.mnemonic): no kernel for a pooling of \(pooling)")
            }
            program.tensors.append(try site.tensor(site.results[0], unit))
            let output = program.tensors.count - 1
            places.places[output] = .result(0)
            program.layers.append(
                Layer(kind: .maximum(window), inputs: [program.output], output: output, name: "pooling"))
            program.output = output
        }
        if op.means {
            program.tensors.append(try site.tensor(site.results[1], unit))
            places.places[program.tensors.count - 1] = .result(1)
            program.layers.append(
                Layer(kind: .globalAverage, inputs: [program.output], output: program.tensors.count - 1, name: "means"))
        }
    }

    private static func join(
        _ op: JoinedConvolutions, _ site: NodeSite, _ unit: VectorUnit, _ program: inout LayerProgram,
        _ places: inout LayerCode
    ) throws(ExportError) {
        program.tensors = [try site.tensor(site.results[0], unit)]
        places.places[0] = .result(0)
        places.weights = 1
        places.independent = true
        var offset = 0
        for (i, branch) in op.branches.enumerated() {
            program.tensors.append(try site.tensor(site.operands[3 * i], unit))
            places.places[program.tensors.count - 1] = .operand(3 * i)
            var part = program.tensors[0]
            part.channels = site.operands[3 * i + 1].shape[0]
            part.pixelStride = nil
            part.parent = 0
            part.offset = offset
            guard offset % unit.lanes == 0 else {
                throw ExportError(
                    .invalid, "\(op.mnemonic): branches should fill whole vectors, found \(offset) channels")
            }
            offset += part.channels
            program.tensors.append(part)
            let output = program.tensors.count - 1
            program.layers.append(
                try layer(branch, site.operands[3 * i + 1], site, weights: 3 * i + 1, input: output - 1, output: output)
            )
            places.dropped += i == 0 ? [2] : [3 * i + 1, 3 * i + 2]
        }
    }

    private static func layer(
        _ stage: ConvolutionChain.Stage, _ filter: TensorType, _ site: NodeSite, weights: Int, input: Int, output: Int
    ) throws(ExportError) -> Layer {
        guard let window = LayerWindow(stage.convolution.window(filter)),
            let function = PointwiseFunction(stage.function, stage.parameters)
        else {
            throw ExportError(
                .invalid, "\(site.node.op.mnemonic): no kernel for \(stage.convolution) with '\(stage.function)'")
        }
        let groups = stage.convolution.groups
        guard groups == 1 || (groups == filter.shape[0] && filter.shape[1] == 1) else {
            throw ExportError(
                .invalid, "\(site.node.op.mnemonic): kernels know one group, or one a channel; found \(groups)")
        }
        return Layer(
            kind: groups == 1 ? .dense(window) : .depthwise(window), inputs: [input], output: output,
            weights: try site.literal(weights),
            bias: try site.literal(weights + 1), function: function, name: site.node.name ?? "")
    }
}

/// Pools, elementwise operators and concatenations of channels-last images.
struct ImageKernel: ScheduledKernel {
    static let name = "image"

    static func code(for site: NodeSite) throws(ExportError) -> NodeCode {
        let unit = try site.unit()
        var program = LayerProgram(tensors: [], layers: [], input: 0, output: 0)
        var places = LayerCode()
        for (i, type) in site.operands.enumerated() {
            program.tensors.append(try site.tensor(type, unit))
            places.places[i] = .operand(i)
        }
        var result = site.results[0]
        if site.node.op is ReduceMean { result = result.with(shape: Array(site.operands[0].shape[..<2]) + [1, 1]) }
        program.tensors.append(try site.tensor(result, unit))
        program.output = program.tensors.count - 1
        places.places[program.output] = .result(0)
        let kind: Layer.Kind
        var function = PointwiseFunction.identity
        switch site.node.op {
        case let op as MaxPool2D: kind = .maximum(try window(op.window, site))
        case let op as AveragePool2D: kind = .average(try window(op.window, site), countsPadding: op.countsPadding)
        case is ReduceMean: kind = .globalAverage
        case is Concat: kind = .concat
        case is Add: kind = .elementwise
        case is Multiply: kind = .scale
        case let op as any ParametricActivation:
            guard let known = PointwiseFunction(op.mnemonic, op.parameters) else {
                throw ExportError(.invalid, "kernel 'image' does not know the function \(op.mnemonic)")
            }
            kind = .elementwise
            function = known
        default: throw ExportError(.invalid, "kernel 'image' does not know \(site.node.op.mnemonic)")
        }
        program.layers = [
            Layer(
                kind: kind, inputs: Array(site.operands.indices), output: program.output, function: function,
                name: site.node.name ?? "")
        ]
        var emitter = LayerEmitter(program, unit: unit)
        emitter.emit()
        return places.code(emitter)
    }

    private static func window(_ window: Window, _ site: NodeSite) throws(ExportError) -> LayerWindow {
        guard let known = LayerWindow(window), known.dilation == 1 else {
            throw ExportError(.invalid, "kernel 'image' does not know the window of \(site.node.op.mnemonic)")
        }
        return known
    }
}

/// Between row-major planes and channels-last.
struct ReorderKernel: ScheduledKernel {
    static let name = "reorder"

    static func code(for site: NodeSite) throws(ExportError) -> NodeCode {
        let from = site.operands[0], to = site.results[0]
        guard from.element == .f32, from.rank == 4 else {
            throw ExportError(.invalid, "kernel 'reorder' works on f32 images, found \(from)")
        }
        let n = from.shape[0], c = from.shape[1], p = from.shape[2] * from.shape[3]
        func index(_ type: TensorType) -> (index: String, stride: Int) {
            switch type.layout {
            case .plain: return ("(n * \(c) + c) * \(p) + p", c)
            case .channelsLast(let padding):
                let stride = (c + padding - 1) / padding * padding
                return ("(n * \(p) + p) * \(stride) + c", stride)
            }
        }
        let x = index(from), y = index(to), threads = max(1, min(site.decision("threads") ?? 1, 64))
        let share = Shares(count: threads).range(p)
        var code = "for (long n = 0; n < \(n); ++n)\n    for (long p = \(share.first); p < \(share.end); ++p) {\n"
        code += "        for (long c = 0; c < \(c); ++c) y0[\(y.index)] = x0[\(x.index)];\n"
        if to.layout != .plain, y.stride > c {
            code += "        for (long c = \(c); c < \(y.stride); ++c) y0[\(y.index)] = 0.0f;\n"
        }
        return NodeCode(CBody(code + "    }\n"), shares: threads)
    }
}
