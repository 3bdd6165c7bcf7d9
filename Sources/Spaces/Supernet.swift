import IR
import Operators

/// All networks of a space over one set of parameters.
///
/// Parameters are named by place and alternative, so every path reads its own part of a shared store; a width that is
/// chosen takes the first channels of a parameter made for the widest. The graph of a path holds nothing of the others.
public struct Supernet: Hashable, Sendable {
    public let space: SearchSpace
    /// Whether normalisation has a learned scale and bias. Weight sharing does better without.
    public let isAffine: Bool
    /// Whether parameters are made for the widest alternatives.
    public let sharesWidths: Bool
    /// Whether the nodes of cells are normalised, as sums of unlimited weights need.
    public let normalisesNodes: Bool

    /// The networks of a space with shared weights.
    ///
    /// - Source: Guo et al., *Single Path One-Shot*, ECCV 2020, section 3.4 (no affine part in normalisation).
    public init(_ space: SearchSpace, isAffine: Bool = false, normalisesNodes: Bool = false) {
        (self.space, self.isAffine, self.sharesWidths) = (space, isAffine, true)
        self.normalisesNodes = normalisesNodes
    }

    private init(standalone space: SearchSpace) {
        (self.space, self.isAffine, self.sharesWidths, self.normalisesNodes) = (space, true, false, false)
    }

    /// The same networks, each trained by itself: affine normalisation, parameters no wider than the network.
    public static func standalone(_ space: SearchSpace) -> Supernet { Supernet(standalone: space) }

    /// What a graph is for.
    public enum Form: Hashable, Sendable {
        /// Inputs `image` and `labels` (`i32`), or `targets` (a distribution per image) when `softTargets`; `key` where
        /// there is dropout, and `progress` (`f32 []`, 0 to 1) where paths are dropped. Outputs `loss`, `logits`, and the batch statistics by the names of the running ones.
        case training(softTargets: Bool = false, smoothing: Double = 0)
        /// Input `image`; outputs `logits` and the batch statistics. Normalises by the batch, drops nothing.
        case calibration
        /// Input `image`; output `logits`. Normalises by the running statistics, which are parameters.
        case inference
    }

    /// A graph with what a store needs to run it.
    public struct Network: Sendable {
        public var graph: Graph
        public var parameters: [NetworkParameter]
        /// Names of the running statistics, in the order in which batch statistics leave the graph (after `loss` and
        /// `logits`).
        public var statistics: [String]
    }

    /// The network of one architecture.
    ///
    /// - Precondition: The architecture is of this space.
    /// - Throws: ``ShapeError`` naming the block, when the space's images are too small for its strides.
    public func build(_ architecture: Architecture, batch: Int, _ form: Form) throws(ShapeError) -> Network {
        precondition(space.contains(architecture), "the architecture is not of the space \(space.name)")
        return try build(.path(architecture), GraphBuilder(name: space.name), batch: batch, form)
    }

    /// Many networks at once: alternatives run side by side, and inputs named by site (`f32 [alternatives]`) weigh them.
    ///
    /// - Parameter active: The alternatives of each site that run, in ascending order; all of them by default. A site
    ///   without any has no input.
    /// - Throws: ``SpaceError`` when a site decides a setting: only paths can decide that.
    public func buildMixture(batch: Int, _ form: Form, active: [[Int]]? = nil) throws -> Network {
        if let site = space.sites.first(where: { $0.role == .setting }) {
            throw SpaceError(
                .conflict,
                "the space \(space.name) cannot be relaxed: '\(site.site)' decides a setting. Fix it, or search by paths"
            )
        }
        var g = GraphBuilder(name: space.name)
        let weights = space.sites.enumerated().map { index, site in
            let running = active?[index] ?? Array(site.alternatives.indices)
            let value = running.isEmpty ? nil : g.input(site.site, .f32(running.count))
            return NetworkBuilder.MixtureWeights(active: running, value: value)
        }
        return try build(.mixture(weights), g, batch: batch, form)
    }

    /// Whether training graphs take a `key`, because some block drops at random.
    public var hasDropout: Bool { dropsPaths || (space.stem + space.head).contains { $0.kind == .dropout } }

    /// Whether training graphs take a `progress`: only networks that are trained by themselves drop paths.
    public var dropsPaths: Bool { !sharesWidths && space.pathDropout > 0 }

    private func build(
        _ selection: NetworkBuilder.Selection, _ g: GraphBuilder, batch: Int, _ form: Form
    ) throws(ShapeError) -> Network {
        var isTraining = true
        if case .inference = form { isTraining = false }
        var b = NetworkBuilder(
            space, selection, isAffine: isAffine, isTraining: isTraining, sharesWidths: sharesWidths, into: g)
        b.normalisesNodes = normalisesNodes
        let shape = [batch, space.input.channels, space.input.height, space.input.width]
        let image = b.input("image", TensorType(.f32, shape))
        var target: Value?
        if case .training(let soft, _) = form {
            target = soft ? b.input("targets", .f32(batch, space.classes)) : b.input("labels", .i32(batch))
            if hasDropout { b.key = b.input("key", TensorType(.u32, [2])) }
            if dropsPaths { b.progress = b.input("progress", .f32()) }
            b.hasAuxiliary = !sharesWidths
        }
        let channels = space.input.channels
        let logits = try b.network(Feature(value: image, width: Width(channels, of: channels))).value
        guard b.shape(of: Feature(value: logits, width: Width(0, of: 0))) == [batch, space.classes] else {
            throw ShapeError(
                "the head of the space \(space.name) should give \([batch, space.classes]). Does it end with 'linear'?")
        }

        var (outputs, names) = ([logits], ["logits"])
        if case .training(let soft, let smoothing) = form, let target {
            func entropy(_ logits: Value, _ name: String) throws(ShapeError) -> Value {
                soft
                    ? try b.add(SoftCrossEntropy(), logits, target, name: name)
                    : try b.add(CrossEntropy(smoothing: smoothing), logits, target, name: name)
            }
            var loss = try entropy(logits, b.auxiliaryLogits == nil ? "loss" : "main_loss")
            if let second = b.auxiliaryLogits, let weight = space.auxiliary?.weight {
                let weighed = try b.add(
                    Multiply(), entropy(second, "auxiliary_loss"), b.constant(weight), name: "auxiliary_loss.weighed")
                loss = try b.add(Add(), loss, weighed, name: "loss")
            }
            (outputs, names) = ([loss] + outputs, ["loss"] + names)
        }
        outputs += b.statistics.map(\.value)
        names += b.statistics.map(\.name)
        return Network(
            graph: b.finish(outputs: outputs, names: names), parameters: b.parameters,
            statistics: b.statistics.map(\.name))
    }
}

extension NetworkBuilder {
    /// The whole chain: stem, stages, head.
    fileprivate mutating func network(_ image: Feature) throws(ShapeError) -> Feature {
        var x = image
        for (index, block) in space.stem.enumerated() { x = try build(block, x, name: "stem\(index + 1)") }
        for stage in space.stages {
            x = try scoped(stage.name) { b throws(ShapeError) in try b.build(stage, x) }
            if hasAuxiliary, space.auxiliary?.stage == stage.name {
                auxiliaryLogits = try scoped("auxiliary") { b throws(ShapeError) in
                    try b.auxiliaryClassifier(x).value
                }
            }
        }
        for (index, block) in space.head.enumerated() { x = try build(block, x, name: "head\(index + 1)") }
        return x
    }

    private mutating func build(_ block: Block, _ x: Feature, name: String) throws(ShapeError) -> Feature {
        try scoped(name) { b throws(ShapeError) in
            let settings = b.settings(of: block, [], stride: nil, x.width)
            return try b.filled(block.kind.build(x, settings, &b), like: x)
        }
    }

    private mutating func build(_ stage: SearchSpace.Stage, _ input: Feature) throws(ShapeError) -> Feature {
        var x = input
        var stride = stage.stride
        if let reduction = stage.reduction {
            beforeLast = nil
            x = try scoped("reduction") { b throws(ShapeError) in
                let settings = b.settings(of: reduction, [stage.settings], stride: stride, x.width)
                return try b.filled(reduction.kind.build(x, settings, &b), like: x)
            }
            stride = 1
        }
        for position in stage.body {
            x = try scoped(position.name) { b throws(ShapeError) in
                try b.build(position, x, stage.settings, stride: stride)
            }
            stride = 1
        }
        return x
    }

    private mutating func build(
        _ position: SearchSpace.Position, _ x: Feature, _ stage: SearchSpace.Settings, stride: Int
    ) throws(ShapeError) -> Feature {
        switch position.content {
        case .fixed(let block):
            beforeLast = nil
            let settings = settings(of: block, [stage], stride: stride, x.width)
            return try filled(block.kind.build(x, settings, &self), like: x)
        case .cell(let index): return try build(space.cells[index], x, stage, stride: stride)
        case .chosen(let site, let blocks):
            beforeLast = nil
            let branches = blocks.map { block in
                (
                    name: block.label,
                    build: { (b: inout NetworkBuilder) throws(ShapeError) -> Feature? in
                        try block.kind.build(x, b.settings(of: block, [stage], stride: stride, x.width), &b)
                    }
                )
            }
            return try filled(choose(site, among: branches, zeroLike: x), like: x)
        }
    }

    /// A block's settings: its own, then the stage's, the space's and the kind's; a stage's stride is its first block's.
    func settings(
        of block: Block, _ outer: [SearchSpace.Settings], stride: Int?, _ input: Width
    ) -> BlockSettings {
        var values: [String: SettingValue] = [:]
        var width = input
        for (key, standard) in block.kind.settings {
            if let own = block.settings[key] {
                values[key] = own
            } else if key == "stride", let stride {
                values[key] = .integer(stride)
            } else if let setting = outer.compactMap({ $0[key] }).first ?? space.settings[key] {
                values[key] = value(of: setting)
                if key == "width" { width = self.width(of: setting) }
                continue
            } else {
                values[key] = standard
            }
            if key == "width", case .integer(let own)? = values[key] { width = Width(own, of: own) }
        }
        return BlockSettings(values: values, width: width)
    }

    func width(of setting: SearchSpace.Setting) -> Width {
        func number(_ value: SettingValue) -> Int {
            if case .integer(let number) = value { return number }
            preconditionFailure("a width is an integer: the reader checked")
        }
        let full = setting.values.map(number).max() ?? 1
        return Width(number(value(of: setting)), of: full)
    }
}
