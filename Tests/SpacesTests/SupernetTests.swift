import IR
import Operators
import Spaces
import Testing

@Suite struct SupernetTests {
    @Test(arguments: modelNames) func everyModelBuildsLegalGraphsInEveryForm(file: String) throws {
        let space = try loadModel(file)
        var random = RandomSource(seed: 4)
        for supernet in [Supernet(space), Supernet(space, isAffine: true), Supernet.standalone(space)] {
            for _ in 0..<4 {
                let architecture = draw(space, &random)
                let training = try supernet.build(architecture, batch: 2, .training(smoothing: 0.1))
                try training.graph.verify(.training)
                #expect(training.graph.types(of: training.graph.outputs)[..<2] == [.f32(), .f32(2, space.classes)])
                let soft = try supernet.build(architecture, batch: 2, .training(softTargets: true))
                #expect(soft.graph.inputNames[1] == "targets")
                let calibration = try supernet.build(architecture, batch: 2, .calibration)
                #expect(calibration.graph.outputNames == ["logits"] + calibration.statistics)
                let inference = try supernet.build(architecture, batch: 1, .inference)
                try inference.graph.verify(.training)
                #expect(inference.graph.outputNames == ["logits"])
                // What training measures is what inference reads.
                let measured = inference.parameters.filter { $0.role == .statistic }.map(\.name)
                #expect(measured == training.statistics && measured == calibration.statistics)
                #expect(
                    inference.parameters.filter { $0.role == .weight }
                        == training.parameters.filter { $0.role == .weight && !$0.name.hasPrefix("auxiliary.") })
                for network in [training, soft, calibration, inference] { expectParametersAgree(network) }
            }
        }
    }

    /// Parameters and multiply-accumulates of the benchmark's authors, for networks with affine normalisation.
    @Test(arguments: [
        ("333333", 1_531_546, 220_119_680), ("444444", 73_306, 7_783_040), ("421211", 129_306, 15_647_360),
        ("321043", 587_386, 82_494_080), ("000003", 316_346, 43_172_480), ("442301", 344_346, 47_104_640),
    ])
    func nasBench201HasThePublishedCosts(operators: String, weights: Int, macs: Int) throws {
        let space = try loadModel("nas-bench-201.yaml")
        // The table's cells list the edges by target node; its digits are the operators in the file's order.
        let architecture = Architecture(choices: operators.compactMap { $0.wholeNumberValue })
        let network = try Supernet.standalone(space).build(architecture, batch: 1, .inference)
        let count = network.parameters.filter { $0.role == .weight }.reduce(0) { $0 + $1.shape.reduce(1, *) }
        #expect(count == weights)
        #expect(networkMacs(network.graph) == macs)
    }

    @Test func aChainOfKnownSizeHasItsParameters() throws {
        let space = try loadModel("mbconv-28.yaml")
        let labels = space.sites.map { site in
            site.site.hasSuffix("block1") ? "mbconv_k5_e3" : site.role == .branch ? "skip" : site.alternatives[0]
        }
        let choices = zip(space.sites, labels).map { $0.alternatives.firstIndex(of: $1) ?? 0 }
        let network = try Supernet.standalone(space).build(Architecture(choices: choices), batch: 1, .inference)
        func block(_ input: Int, _ output: Int) -> Int {
            let inner = 3 * input
            return inner * input + 2 * inner + inner * 25 + 2 * inner + inner * output + 2 * output
        }
        let stem = 9 * 16 + 32, head = 40 * 144 + 2 * 144 + 144 * 10 + 10
        let expected = stem + block(16, 12) + block(12, 24) + block(24, 40) + head
        #expect(network.parameters.filter { $0.role == .weight }.reduce(0) { $0 + $1.shape.reduce(1, *) } == expected)
    }

    @Test func pathsShareWhatTheyHaveInCommonAndNothingElse() throws {
        let space = try loadModel("mbconv-28.yaml")
        let supernet = Supernet(space)
        var random = RandomSource(seed: 9)
        var shapes: [String: [Int]] = [:]
        for _ in 0..<40 {
            let architecture = draw(space, &random)
            let network = try supernet.build(architecture, batch: 1, .training())
            for parameter in network.parameters {
                #expect(
                    shapes.updateValue(parameter.shape, forKey: parameter.name) ?? parameter.shape == parameter.shape)
            }
            for (site, choice) in zip(space.sites, architecture.choices) where site.role == .branch {
                for (index, label) in site.alternatives.enumerated() where index != choice {
                    #expect(!network.parameters.contains { $0.name.hasPrefix("\(site.site).\(label).") })
                }
            }
        }
    }

    @Test func aPathOfSharedWeightsEqualsTheNetworkOfTheWeightsItUses() throws {
        let space = try SearchSpace(yaml: tiny, file: "tiny.yaml")
        var random = RandomSource(seed: 3)
        let shared = Supernet(space, isAffine: true), alone = Supernet.standalone(space)
        for width in 0..<2 {
            let architecture = Architecture(choices: [width, 1, 0, 2])
            let wide = try shared.build(architecture, batch: 2, .inference)
            let narrow = try alone.build(architecture, batch: 2, .inference)
            var values: [String: ReferenceTensor<Double>] = [:]
            for parameter in wide.parameters {
                let numbers = (0..<parameter.shape.reduce(1, *)).map { _ in random.uniform(in: 0.5..<1.5) }
                values[parameter.name] = ReferenceTensor(.f64, parameter.shape, numbers)
            }
            var cut: [String: ReferenceTensor<Double>] = [:]
            for parameter in narrow.parameters {
                let full = try #require(values[parameter.name])
                let slice = Slice(starts: parameter.shape.map { _ in 0 }, sizes: parameter.shape)
                cut[parameter.name] = try Interpreter.evaluate(slice, [full])[0]
            }
            let image = tensor([2, 1, 8, 8], &random)
            let a = try run(wide.graph, [image], values), b = try run(narrow.graph, [image], cut)
            #expect(a[0].reals == b[0].reals)
            #expect(a[0].reals.contains { $0 != 0 })
        }
    }

    @Test func aMixtureOfOneAlternativeIsItsPath() throws {
        let space = try loadModel("micro-125.yaml")
        let supernet = Supernet(space)
        let mixture = try supernet.buildMixture(batch: 2, .calibration)
        try mixture.graph.verify(.training)
        #expect(mixture.graph.inputNames == ["cell.0to1", "cell.0to2", "cell.1to2", "image"])
        var random = RandomSource(seed: 6)
        var values: [String: ReferenceTensor<Double>] = [:]
        for parameter in mixture.parameters { values[parameter.name] = tensor(parameter.shape, &random) }
        let image = tensor([2, 1, 14, 14], &random)
        for choices in [[3, 1, 4], [0, 2, 3], [2, 0, 0]] {
            let path = try supernet.build(Architecture(choices: choices), batch: 2, .calibration)
            let weights = choices.map { choice in
                ReferenceTensor<Double>(.f64, [5], (0..<5).map { $0 == choice ? 1 : 0 })
            }
            let mixed = try run(mixture.graph, weights + [image], values)[0].reals
            let single = try run(path.graph, [image], values)[0].reals
            for (a, b) in zip(mixed, single) { #expect(abs(a - b) < 1e-9 * max(1, abs(b))) }
        }
    }

    @Test func aSpaceOfSettingsCannotBeRelaxed() throws {
        let space = try loadModel("mbconv-28.yaml")
        let error = #expect(throws: SpaceError.self) { try Supernet(space).buildMixture(batch: 1, .calibration) }
        #expect(
            error?.description
                == "the space mbconv-28 cannot be relaxed: 'stage1.width' decides a setting. Fix it, or search by paths"
        )
    }

    @Test func anImageTooSmallForTheStridesIsAnError() throws {
        let small = tiny.replacing("[1, 8, 8]", with: "[1, 8, 8]").replacing("- linear", with: "- global_average_pool")
        let space = try SearchSpace(yaml: small, file: "tiny.yaml")
        #expect(throws: ShapeError.self) {
            try Supernet(space).build(Architecture(choices: [0, 0, 0, 0]), batch: 1, .inference)
        }
    }

    /// The graph's parameters are those listed, with their shapes.
    private func expectParametersAgree(_ network: Supernet.Network) {
        let listed = network.parameters.map { ($0.name, $0.shape) }
        let found = network.graph.parameters.map { ($0.name, network.graph.type(of: $0.value).shape) }
        #expect(listed.count == found.count)
        for (a, b) in zip(listed, found) { #expect(a == b) }
    }

    private func networkMacs(_ graph: Graph) -> Int {
        graph.nodes.reduce(0) { sum, node in
            guard node.op is Conv2D || node.op is Linear else { return sum }
            return sum + (node.op.macs(graph.types(of: node.operands), graph.types(of: node.results)) ?? 0)
        }
    }

    private func draw(_ space: SearchSpace, _ random: inout RandomSource) -> Architecture {
        Architecture(choices: space.alphabet.map { random.integer(below: $0) })
    }

    private func tensor(_ shape: [Int], _ random: inout RandomSource) -> ReferenceTensor<Double> {
        ReferenceTensor(.f64, shape, (0..<shape.reduce(1, *)).map { _ in random.uniform(in: -1..<1) })
    }

    /// Runs a graph of `f32` in double precision.
    private func run(
        _ graph: Graph, _ inputs: [ReferenceTensor<Double>], _ parameters: [String: ReferenceTensor<Double>]
    ) throws -> [ReferenceTensor<Double>] {
        func retyped(_ tensor: ReferenceTensor<Double>) -> ReferenceTensor<Double> {
            ReferenceTensor(.f32, tensor.shape, tensor.reals)
        }
        return try Interpreter.run(graph, inputs: inputs.map(retyped), parameters: parameters.mapValues(retyped))
    }
}

private let tiny = """
    format: 1
    name: tiny
    source: ours
    input: [1, 8, 8]
    classes: 4
    activation: hard_swish
    stem: [conv: {kernel: 3, width: 4, stride: 2}]
    stages:
      - width: [4, 8]
        squeeze_excite: [0, 0.5]
        depth: 2
        blocks: [mbconv: {kernel: [3, 5], expansion: 2}, skip]
      - {width: 8, stride: 2, depth: 2, blocks: [shuffle: {kernel: 3}]}
      - {width: 8, depth: 1, blocks: [xception]}
    head:
      - global_average_pool
      - linear
    """
