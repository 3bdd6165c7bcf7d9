import IR
import Operators

/// Builds one network of a space, block by block.
///
/// Layers make their parameters at full width and slice what the path uses; parameters and batch statistics are
/// recorded on the way.
struct NetworkBuilder {
    /// What decides at each site.
    enum Selection {
        case path(Architecture)
        /// Weights of the alternatives by site; `nil` at sites that decide settings.
        case mixture([MixtureWeights?])
    }

    /// The alternatives of a site that run, and the input that weighs them; `nil` where none does.
    struct MixtureWeights {
        var active: [Int]
        var value: Value?
    }

    let space: SearchSpace
    let selection: Selection
    /// Whether normalisation has a learned scale and bias.
    let isAffine: Bool
    /// Whether batch norm uses the statistics of the batch, and dropout drops.
    let isTraining: Bool
    /// Whether parameters are made for the widest alternative, as networks that share them need.
    let sharesWidths: Bool
    /// Whether the nodes of cells are normalised.
    var normalisesNodes = false
    /// Whether the cell being built normalises its pools in supernets.
    var normalisesPools = false
    /// The feature before the last cell, which cells of two inputs read.
    var beforeLast: Feature?
    /// The key of this step's random draws, where dropout is on.
    var key: Value?
    /// How far training has come, where paths are dropped.
    var progress: Value?
    /// Whether there is a second classifier, and what it gave.
    var hasAuxiliary = false
    var auxiliaryLogits: Value?
    private(set) var g: GraphBuilder
    private(set) var parameters: [NetworkParameter] = []
    /// Batch statistics by the name of the running statistic they belong to.
    private(set) var statistics: [(name: String, value: Value)] = []
    private var path: [String] = []
    private var known: Set<String> = []
    private var dropouts = 0

    init(
        _ space: SearchSpace, _ selection: Selection, isAffine: Bool, isTraining: Bool, sharesWidths: Bool,
        into g: GraphBuilder
    ) {
        (self.space, self.selection) = (space, selection)
        (self.isAffine, self.isTraining, self.sharesWidths, self.g) = (isAffine, isTraining, sharesWidths, g)
    }

    /// Runs `body` with a name added to those of nodes and parameters.
    mutating func scoped<T>(
        _ name: String, _ body: (inout NetworkBuilder) throws(ShapeError) -> T
    ) throws(ShapeError) -> T {
        path.append(name)
        defer { path.removeLast() }
        return try body(&self)
    }

    /// One alternative of a site: the only place where running a path and mixing all alternatives differ.
    ///
    /// - Returns: `nil` for zeros of the input's shape, when that is what was chosen.
    mutating func choose(_ site: Int, among branches: [Branch], zeroLike x: Feature, stride: Int = 1) throws(ShapeError)
        -> Feature?
    {
        switch selection {
        case .path(let architecture):
            let branch = branches[architecture[site]]
            return try scoped(branch.name, branch.build)
        case .mixture(let weights):
            guard let mixture = weights[site] else {
                preconditionFailure("the site \(space.sites[site].site) decides a setting, so it has no mixture")
            }
            guard let weights = mixture.value else { return nil }
            return try mix(mixture.active.map { branches[$0] }, weights, zeroLike: x, stride: stride)
        }
    }

    /// The sum of branches weighed by the elements of a vector.
    mutating func mix(
        _ branches: [Branch], _ weights: Value, zeroLike x: Feature, stride: Int
    ) throws(ShapeError) -> Feature {
        var features: [Feature] = []
        for branch in branches {
            features.append(try filled(scoped(branch.name, branch.build), like: x, stride: stride))
        }
        let value = try append(WeightedSum(), [weights] + features.map(\.value), "mixture")
        return Feature(value: value, width: features[0].width)
    }

    /// The value of a setting that may be left to a choice point. Mixtures refuse such spaces before building.
    func value(of setting: SearchSpace.Setting) -> SettingValue {
        switch (setting, selection) {
        case (.fixed(let value), _): value
        case (.chosen(let site, let values), .path(let architecture)): values[architecture[site]]
        case (.chosen(_, let values), .mixture): values[0]
        }
    }

    typealias Branch = (name: String, build: (inout NetworkBuilder) throws(ShapeError) -> Feature?)

    // MARK: Layers

    func shape(of x: Feature) -> [Int] { g.type(of: x.value).shape }

    /// A convolution of stride-preserving size. `groups` other than 1 is a plain grouped convolution.
    mutating func convolution(
        _ x: Feature, width: Width, kernel: Int, stride: Int = 1, groups: Int = 1, name: String
    ) throws(ShapeError) -> Feature {
        let op = Conv2D(kernel: kernel, stride: stride, groups: groups)
        let filter = try parameter(
            name, "filter", full: [width.full, x.width.full / groups, kernel, kernel],
            used: [width.actual, x.width.actual / groups, kernel, kernel])
        return Feature(value: try append(op, [x.value, filter], name), width: width)
    }

    /// A 1x1 convolution of every other pixel, beginning with the second in both directions.
    mutating func oddPixels(_ x: Feature, width: Width, name: String) throws(ShapeError) -> Feature {
        let shape = shape(of: x)
        let slice = Slice(starts: [0, 0, 1, 1], sizes: [shape[0], shape[1], shape[2] - 1, shape[3] - 1])
        let shifted = Feature(value: try append(slice, [x.value], "\(name).shifted"), width: x.width)
        let filter = try parameter(
            name, "filter", full: [width.full, x.width.full, 1, 1], used: [width.actual, x.width.actual, 1, 1])
        // An odd side has one odd pixel less than even ones; a zero stands for it.
        let op = Conv2D(stride: [2, 2], padding: [0, 0, shape[2] % 2, shape[3] % 2])
        return Feature(value: try append(op, [shifted.value, filter], name), width: width)
    }

    mutating func depthwise(
        _ x: Feature, kernel: Int, stride: Int, dilation: Int = 1, name: String
    ) throws(ShapeError) -> Feature {
        let filter = try parameter(
            name, "filter", full: [x.width.full, 1, kernel, kernel], used: [x.width.actual, 1, kernel, kernel])
        let op = Conv2D(kernel: kernel, stride: stride, dilation: dilation, groups: x.width.actual)
        return Feature(value: try append(op, [x.value, filter], name), width: x.width)
    }

    mutating func batchNorm(_ x: Feature, name: String) throws(ShapeError) -> Feature {
        func vector(_ part: String, _ role: NetworkParameter.Role) throws(ShapeError) -> Value {
            try parameter(name, part, full: [x.width.full], used: [x.width.actual], role)
        }
        let affine = isAffine ? [try vector("scale", .weight), try vector("bias", .weight)] : []
        if isTraining {
            let op = BatchNorm(epsilon: space.epsilon)
            let results = try g.appendAll(op, [x.value] + affine, name: nodeName(name))
            statistics.append((nodeName(name) + ".mean", results[1]))
            statistics.append((nodeName(name) + ".variance", results[2]))
            return Feature(value: results[0], width: x.width)
        }
        let running = [try vector("mean", .statistic), try vector("variance", .statistic)]
        let op = BatchNormInference(epsilon: space.epsilon)
        return Feature(value: try append(op, [x.value] + running + affine, name), width: x.width)
    }

    mutating func activation(_ x: Feature, _ activation: Activation) throws(ShapeError) -> Feature {
        let name = activation.rawValue
        let value =
            switch activation {
            case .none: x.value
            case .relu: try append(Relu(), [x.value], name)
            case .relu6: try append(Clip(low: 0, high: 6), [x.value], name)
            case .hardSwish: try append(HardSwish(), [x.value], name)
            case .silu: try append(Silu(), [x.value], name)
            }
        return Feature(value: value, width: x.width)
    }

    /// Channels reweighed by a small network that sees their means.
    ///
    /// - Source: Hu et al., *Squeeze-and-Excitation Networks*, CVPR 2018; hard sigmoid: Howard et al., *Searching for
    ///   MobileNetV3*, ICCV 2019, section 5.3.
    mutating func squeezeExcite(_ x: Feature, ratio: Double, name: String) throws(ShapeError) -> Feature {
        func inner(_ width: Int) -> Int { max(4, (Int(Double(width) * ratio) + 3) / 4 * 4) }
        return try scoped(name) { g throws(ShapeError) in
            let mean = try g.imageMean(x)
            var y = try g.biasedConvolution(
                mean, width: Width(inner(x.width.actual), of: inner(x.width.full)), name: "reduce")
            y = try g.activation(y, .relu)
            y = try g.biasedConvolution(y, width: x.width, name: "expand")
            let gate = try g.append(HardSigmoid(slope: 1 / 6, offset: 0.5), [y.value], "gate")
            return Feature(value: try g.append(Multiply(), [x.value, gate], "scale"), width: x.width)
        }
    }

    private mutating func biasedConvolution(_ x: Feature, width: Width, name: String) throws(ShapeError) -> Feature {
        let filter = try parameter(
            name, "filter", full: [width.full, x.width.full, 1, 1], used: [width.actual, x.width.actual, 1, 1])
        let bias = try parameter(name, "bias", full: [width.full], used: [width.actual])
        return Feature(value: try append(Conv2D(), [x.value, filter, bias], name), width: width)
    }

    mutating func linear(_ x: Feature, width: Int, name: String) throws(ShapeError) -> Feature {
        let matrix = try parameter(
            name, "matrix", full: [width, x.width.full], used: [width, x.width.actual])
        let bias = try parameter(name, "bias", full: [width], used: [width])
        let y = try append(Linear(), [x.value, matrix, bias], name)
        return Feature(value: y, width: Width(width, of: width))
    }

    /// The mean over each window, of what lies inside the image.
    mutating func averagePool(
        _ x: Feature, kernel: Int, stride: Int, isPadded: Bool = false
    ) throws(ShapeError) -> Feature {
        let window = poolWindow(kernel, stride, isPadded: isPadded)
        return Feature(value: try append(AveragePool2D(window), [x.value], "average_pool"), width: x.width)
    }

    /// The largest value of each window; the image is padded by what never is the largest.
    mutating func maxPool(_ x: Feature, kernel: Int, stride: Int) throws(ShapeError) -> Feature {
        let window = poolWindow(kernel, stride, isPadded: true)
        return Feature(value: try append(MaxPool2D(window), [x.value], "max_pool"), width: x.width)
    }

    private func poolWindow(_ kernel: Int, _ stride: Int, isPadded: Bool) -> Window {
        let pad = isPadded ? kernel / 2 : 0
        return Window(kernel: [kernel, kernel], stride: [stride, stride], padding: [pad, pad, pad, pad])
    }

    private mutating func imageMean(_ x: Feature) throws(ShapeError) -> Feature {
        let window = Window(kernel: Array(shape(of: x)[2...]))
        return Feature(value: try append(AveragePool2D(window), [x.value], "mean"), width: x.width)
    }

    mutating func globalAveragePool(_ x: Feature) throws(ShapeError) -> Feature {
        let mean = try imageMean(x)
        let vector = try append(Reshape(Array(shape(of: mean)[..<2])), [mean.value], "vector")
        return Feature(value: vector, width: x.width)
    }

    mutating func dropout(_ x: Feature, rate: Double) throws(ShapeError) -> Feature {
        guard isTraining, let key else { return x }
        dropouts += 1
        return Feature(
            value: try append(Dropout(rate: rate, site: dropouts), [x.value, key], "dropout"), width: x.width)
    }

    /// Drops examples of an operator's output; what passes through unchanged is kept.
    mutating func dropPath(_ x: Feature, from source: Feature) throws(ShapeError) -> Feature {
        guard isTraining, let key, let progress, x.value != source.value else { return x }
        dropouts += 1
        let op = DropPath(rate: space.pathDropout, site: dropouts)
        return Feature(value: try append(op, [x.value, key, progress], "drop_path"), width: x.width)
    }

    /// A classifier in the middle of a network: a pool, 128 channels, one convolution of what is left of the image to 768,
    /// a linear layer.
    ///
    /// - Source: Liu et al., *DARTS*, ICLR 2019, released code.
    mutating func auxiliaryClassifier(_ x: Feature) throws(ShapeError) -> Feature {
        // It is gone before its running statistics would be read.
        let measured = statistics.count
        defer { statistics.removeSubrange(measured...) }
        let side = min(5, shape(of: x)[2], shape(of: x)[3])
        var y = try averagePool(activation(x, .relu), kernel: side, stride: 3)
        y = try batchNorm(convolution(y, width: Width(128, of: 128), kernel: 1, name: "reduce"), name: "reduce_norm")
        y = try activation(y, .relu)
        let rest = Array(shape(of: y)[2...])
        let filter = try parameter("expand", "filter", full: [768, 128] + rest, used: [768, 128] + rest)
        y = Feature(value: try append(Conv2D(), [y.value, filter], "expand"), width: Width(768, of: 768))
        y = try activation(batchNorm(y, name: "expand_norm"), .relu)
        let vector = try append(Reshape(Array(shape(of: y)[..<2])), [y.value], "vector")
        return try linear(Feature(value: vector, width: y.width), width: space.classes, name: "linear")
    }

    /// The sum of features of one width; what follows is made for the widest that any of them can be.
    mutating func sum(_ features: [Feature]) throws(ShapeError) -> Feature {
        var sum = features[0]
        for feature in features.dropFirst() {
            sum.value = try append(Add(), [sum.value, feature.value], "sum")
            sum.width.full = max(sum.width.full, feature.width.full)
        }
        return sum
    }

    /// The feature, or zeros where a block stands for them.
    mutating func filled(_ feature: Feature?, like x: Feature, stride: Int = 1) throws(ShapeError) -> Feature {
        if let feature { return feature }
        let zero = g.constant(0)
        let shape = shape(of: x)
        let strided = shape[..<2] + shape[2...].map { ($0 + stride - 1) / stride }
        return Feature(value: try append(BroadcastTo(Array(strided)), [zero], "zero"), width: x.width)
    }

    /// The even and the odd channels: a shuffle into two groups, and both halves.
    mutating func alternate(_ x: Feature) throws(ShapeError) -> (Feature, Feature) {
        let half = Width(x.width.actual / 2, of: x.width.full / 2)
        let shuffled = try append(ChannelShuffle(groups: half.actual), [x.value], "shuffle")
        func part(_ start: Int) throws(ShapeError) -> Feature {
            let slice = Slice(axis: 1, start: start, size: half.actual, of: shape(of: x))
            return Feature(value: try append(slice, [shuffled], "half"), width: half)
        }
        return (try part(0), try part(half.actual))
    }

    mutating func concatenate(_ features: [Feature]) throws(ShapeError) -> Feature {
        let width = features.reduce(Width(0, of: 0)) { Width($0.actual + $1.width.actual, of: $0.full + $1.width.full) }
        return Feature(value: try append(Concat(axis: 1), features.map(\.value), "concat"), width: width)
    }

    // MARK: Nodes and parameters

    private func nodeName(_ name: String) -> String { (path + [name]).joined(separator: ".") }

    mutating func append(_ op: any Operator, _ operands: [Value], _ name: String) throws(ShapeError) -> Value {
        try g.appendAll(op, operands, name: nodeName(name))[0]
    }

    /// A parameter of the full shape, cut to the part in use: the first channels of each dimension.
    private mutating func parameter(
        _ layer: String, _ part: String, full: [Int], used: [Int], _ role: NetworkParameter.Role = .weight
    ) throws(ShapeError) -> Value {
        let name = "\(nodeName(layer)).\(part)"
        let shape = sharesWidths ? full : used
        if known.insert(name).inserted {
            parameters.append(NetworkParameter(name: name, shape: shape, role: role))
        }
        let value = g.parameter(name, TensorType(.f32, shape))
        guard shape != used else { return value }
        let slice = Slice(starts: used.map { _ in 0 }, sizes: used)
        return try g.append(slice, value, name: name + ".used")
    }

    mutating func input(_ name: String, _ type: TensorType) -> Value { g.input(name, type) }
    mutating func constant(_ number: Double) -> Value { g.constant(number) }

    /// Appends an operator outside of any block.
    mutating func add(_ op: some Operator, _ operands: Value..., name: String) throws(ShapeError) -> Value {
        try g.appendAll(op, operands, name: name)[0]
    }

    func finish(outputs: [Value], names: [String]) -> Graph { g.finish(outputs: outputs, names: names) }
}
