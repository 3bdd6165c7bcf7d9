import IR
import Operators
import Spaces
import Testing

@Suite struct CellSpaceTests {
    /// The second-order genotype that the authors of DARTS publish.
    private let published =
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
        + "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
        + "normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
        + "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
        + "reduce_concat=range(2, 6))"

    @Test func theEvaluationNetworkOfAGenotypeHasThePublishedSize() throws {
        let space = try loadModel("darts-20.yaml")
        let network = try Supernet.standalone(space).build(space.architecture(published), batch: 1, .inference)
        // What the authors' code prints for this genotype, auxiliary head left out: 3.349342 million.
        #expect(weightCount(network) == 3_349_342)
    }

    @Test func theSearchNetworkHasThePublishedSize() throws {
        let space = try loadModel("darts.yaml")
        #expect(space.sites.count == 28)
        let network = try Supernet(space).buildMixture(batch: 1, .calibration)
        // The authors' code prints 1.930618 million; scale and bias of the stem's norm are learned there.
        #expect(weightCount(network) == 1_930_618 - 2 * 48)
    }

    @Test func aGenotypeReadsBackInEveryNetworkOfItsCells() throws {
        for name in ["darts.yaml", "darts-20.yaml"] {
            let space = try loadModel(name)
            let architecture = try space.architecture(published)
            let text = space.text(of: architecture)
            #expect(text.hasPrefix("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0)"))
            #expect(try space.architecture(text) == architecture)
        }
        let factorised = try loadModel("darts-factorised-micro.yaml")
        let text =
            "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 2), ('dil_conv_3x3', 0)], "
            + "normal_concat=range(2, 4), reduce=[('max_pool_3x3', 0), ('skip_connect', 1), ('skip_connect', 1), "
            + "('skip_connect', 2)], reduce_concat=range(2, 4))"
        #expect(try factorised.text(of: factorised.architecture(text)) == text)
    }

    @Test(arguments: [
        ("Genotype(normal=[('sep_conv_3x3', 0)])", "genotype: expects two pairs for every node"),
        ("Genotype(normal=[], reduce=[])", "genotype: expects 4 nodes of 'normal', found 0"),
        ("Genotype(common=[])", "genotype: unknown cell 'common' in the space darts; known: normal, reduce."),
        ("Genotype{", "genotype: expects '(' at character 9, found '{'"),
    ])
    func aBadGenotypeIsRefused(text: String, message: String) throws {
        let space = try loadModel("darts.yaml")
        let error = #expect(throws: SpaceError.self) { try space.architecture(text) }
        #expect(error?.description.hasPrefix(message) == true, "\(String(describing: error))")
    }

    @Test(arguments: ["darts-micro.yaml", "darts-factorised-micro.yaml", "proxyless-micro.yaml"])
    func aMixtureOfOneAlternativeIsItsPath(file: String) throws {
        let space = try loadModel(file)
        let supernet = Supernet(space)
        var random = RandomSource(seed: 6)
        let whole = try supernet.buildMixture(batch: 2, .calibration)
        try whole.graph.verify(.training)
        var values: [String: ReferenceTensor<Double>] = [:]
        for parameter in whole.parameters { values[parameter.name] = tensor(parameter.shape, &random) }
        let image = tensor([2, 1, 14, 14], &random)
        for _ in 0..<3 {
            let architecture = Architecture(choices: space.alphabet.map { random.integer(below: $0) })
            let path = try supernet.build(architecture, batch: 2, .calibration)
            let expected = try Interpreter.run(path.graph, inputs: [image], parameters: values)[0]
            let oneHot = zip(space.alphabet, architecture.choices).map { count, choice in
                ReferenceTensor<Double>(.f32, [count], (0..<count).map { $0 == choice ? 1 : 0 })
            }
            let mixed = try Interpreter.run(whole.graph, inputs: oneHot + [image], parameters: values)[0]
            #expect(difference(mixed, expected) < 1e-9)
            // The same with that alternative and one other, and with nothing else running.
            let active = zip(space.alphabet, architecture.choices).map { [$1, ($1 + 1) % $0].sorted() }
            let pairs = try supernet.buildMixture(batch: 2, .calibration, active: active)
            let gates = zip(active, architecture.choices).map { active, choice in
                ReferenceTensor<Double>(.f32, [2], active.map { $0 == choice ? 1 : 0 })
            }
            let paired = try Interpreter.run(pairs.graph, inputs: gates + [image], parameters: values)[0]
            #expect(difference(paired, expected) < 1e-9)
            #expect(pairs.parameters.count <= whole.parameters.count)
        }
    }

    private func weightCount(_ network: Supernet.Network) -> Int {
        network.parameters.filter { $0.role == .weight }.reduce(0) { $0 + $1.shape.reduce(1, *) }
    }

    private func difference(_ a: ReferenceTensor<Double>, _ b: ReferenceTensor<Double>) -> Double {
        zip(a.reals, b.reals).reduce(0) { max($0, abs($1.0 - $1.1)) }
    }

    private func tensor(_ shape: [Int], _ random: inout RandomSource) -> ReferenceTensor<Double> {
        ReferenceTensor(.f32, shape, (0..<shape.reduce(1, *)).map { _ in random.uniform(in: -1..<1) })
    }
}
