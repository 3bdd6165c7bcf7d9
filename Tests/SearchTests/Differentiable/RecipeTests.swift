import IR
import Passes
import Spaces
import Testing
import Training

@testable import Search

@Suite struct RecipeTests {
    @Test(arguments: Recipe.all) func everyRecipeIsLegalInItsOwnSpace(recipe: Recipe) throws {
        let space = try SpaceLibrary().space(recipe.space)
        #expect(recipe.conflicts(with: space).isEmpty)
        #expect(recipe.axes.count == 10 && recipe.axes.allSatisfy { !$0.value.isEmpty })
        #expect(!recipe.source.isEmpty)
    }

    @Test func namesAreUniqueAndPRIMEsMechanismsSwitch() {
        #expect(Set(Recipe.all.map(\.name)).count == Recipe.all.count)
        let whole = Recipe.prime(activation: true)
        #expect(whole.relaxation == .clamped && whole.schedule == .fisher(frequency: 10))
        let none = Recipe.prime(schedule: false, regularizer: nil)
        #expect(none.relaxation == .softmax && none.schedule == .alternating(weightSteps: 10))
        #expect(none.regularizers.isEmpty)
    }

    @Test func combinationsThatMakeNoSenseAreRefusedWithTheReason() throws {
        func expect(_ recipe: Recipe, _ reason: String, _ change: (inout Recipe) -> Void) {
            var changed = recipe
            change(&changed)
            #expect(changed.conflicts.contains { $0.hasPrefix(reason) }, "\(changed.conflicts)")
        }
        expect(.proxyless, "a virtual step or a Neumann series needs a mixture") {
            $0.estimator = .hypergradient(.neumann(2))
        }
        expect(.snas, "a virtual step or a Neumann series needs one mixture") {
            $0.estimator = .hypergradient(.virtualStep)
        }
        expect(.darts1, "a score function needs a concrete relaxation") { $0.estimator = .score(.rebar) }
        expect(.darts1, "a pathwise gradient needs a concrete relaxation") { $0.estimator = .pathwise }
        expect(.darts1, "pairs of gates need paths") { $0.estimator = .gatePair }
        expect(.spos, "without a gradient of the architecture only uniform paths") { $0.relaxation = .softmax }
        expect(.darts1, "uniform paths do not depend on the architecture") { $0.relaxation = .uniformPath }
        expect(.darts1, "an architecture with a gradient needs a schedule") { $0.schedule = .weightsOnly }
        expect(.darts1, "evolution compares networks") { $0.selection = .evolution }
        expect(.snas, "a cost without a gradient needs a score function") { $0.cost?.aggregation = .exact }
        expect(.proxyless, "a sampled cost needs a concrete relaxation") { $0.cost?.aggregation = .sampled }
        expect(.snas, "a joint step takes weights and architecture from one batch") {
            $0.split = .shares(architecture: 0.5)
        }
        expect(.unas, "a joint step has one backward pass") { ($0.schedule, $0.split) = (.joint, .shared) }
        expect(.darts1, "an objective of validation images needs images of its own") { $0.split = .shared }
        expect(.darts1, "inherited weights serve only") { $0.retraining = .inherited }
        expect(.darts1, "a generalisation gap needs the samples") { $0.objective = .generalizationGap(weight: 0.5) }
    }

    @Test func spacesThatARecipeCannotServeAreRefused() throws {
        let library = SpaceLibrary()
        let settings = Recipe.proxyless.conflicts(with: try library.space("mbconv-28"))
        #expect(settings.first?.contains("'stage1.width' decides a setting") == true)
        // Published for chains as well, which have no slots to penalise.
        #expect(Recipe.unas.conflicts(with: try library.space("proxyless-28")).isEmpty)
        let clamped = Recipe.prime(activation: true).conflicts(with: try library.space("proxyless-28"))
        #expect(clamped.first?.contains("no cells") == true)
        #expect(Recipe.darts1.conflicts(with: try library.space("nas-bench-201")).isEmpty)
    }
}

/// The loop on data that a known architecture explains.
@Suite(.serialized) struct RelaxedSearchTests {
    private func task(_ seed: UInt64 = 1) throws -> PlantedTask {
        try PlantedTask(
            SearchSpace(yaml: PlantedTask.micro, file: "planted.yaml"), training: 256, validation: 64, seed: seed)
    }

    private static let everyRecipe = Recipe.all.filter(\.isDifferentiable)

    /// Which step touches what: bit for bit.
    @Test(arguments: everyRecipe) func architectureStepsLeaveWeightsAndWeightStepsTheArchitecture(recipe: Recipe) throws
    {
        guard recipe.schedule != .joint else { return }
        let search = try task().loop(recipe, steps: 20, batch: 16, seed: 1)
        try search.weightStep()
        search.step = 10
        let weights = search.store.snapshot(), architecture = search.state.store.snapshot()
        let moments = search.store.optimizerState(search.weightOptimizer)
        try search.architectureStep()
        // A pair of gates may be the first to need some parameter; those that were there are as they were.
        let known = Set(weights.tensors.map(\.name))
        let after = search.store.snapshot().tensors.filter { known.contains($0.name) }
        #expect(after == weights.tensors)
        #expect(search.store.optimizerState(search.weightOptimizer) == moments)
        let moved = search.state.store.snapshot()
        #expect(moved != architecture)
        try search.weightStep()
        #expect(search.state.store.snapshot() == moved)
        #expect(search.store.snapshot().tensors.filter { known.contains($0.name) } != weights.tensors)
    }

    @Test(arguments: everyRecipe) func aStoppedSearchGoesOnBitForBit(recipe: Recipe) throws {
        let task = try task()
        let whole = try task.loop(recipe, steps: 12, batch: 16, seed: 3)
        for _ in 0..<12 { try whole.advance() }
        let first = try task.loop(recipe, steps: 12, batch: 16, seed: 3)
        for _ in 0..<7 { try first.advance() }
        let second = try task.loop(recipe, steps: 12, batch: 16, seed: 3)
        try second.restore(first.checkpoint())
        for _ in 7..<12 { try second.advance() }
        #expect(second.state.store.snapshot() == whole.state.store.snapshot())
        let byName = Dictionary(uniqueKeysWithValues: whole.store.snapshot().tensors.map { ($0.name, $0.literal) })
        for tensor in second.store.snapshot().tensors { #expect(byName[tensor.name] == tensor.literal) }
        #expect(try second.observe() == whole.observe())
    }

    @Test func aLossThatIsNoNumberNamesStepOperatorAndCheckpoint() throws {
        let search = try task().loop(.darts1, steps: 20, batch: 16, seed: 1)
        for _ in 0..<3 { try search.advance() }
        search.lastCheckpoint = 2
        let weight = try #require(search.store.tensors.first { $0.name.contains("nor_conv_3x3") && $0.kind == .weight })
        weight.values[0] = .nan
        let error = #expect(throws: TrainingError.self) { try search.advance() }
        #expect(error?.code == .nonFinite)
        #expect(
            error?.description.hasPrefix(
                "step 3: the architecture's loss is not a finite number, first in parameter \"\(weight.name)\"; the last "
                    + "checkpoint is of step 2.") == true, "\(String(describing: error))")
    }

    /// The graph transform's products of a whole relaxed network against central differences in double precision, and the
    /// executor's in single precision against these.
    @Test func secondOrderProductsOfASupernetAreExact() throws {
        let task = try task()
        let search = try task.loop(.idarts, steps: 4, batch: 4, seed: 2)
        try search.advance()
        let form = try search.supernet.buildMixture(batch: 4, .training(softTargets: true)).graph
        let sites = search.space.sites.map(\.site), count = search.space.alphabet.reduce(0, +)
        let programs = SupernetProblem.Programs(form, sites: sites, store: search.store, backend: task.backend)
        let batch = task.rows(0..<4), weights = programs.weights, a = [Double](repeating: 0.2, count: count)
        let w = programs.values
        var random = RandomSource(seed: 8)
        let v = w.map { _ in random.normal() }

        func parts(_ flat: [Double]) -> [String: ReferenceTensor<Double>] {
            var start = 0, result: [String: ReferenceTensor<Double>] = [:]
            for tensor in weights {
                let values = Array(flat[start..<(start + tensor.count)])
                result[tensor.name] = ReferenceTensor(.f32, tensor.shape, values)
                start += tensor.count
            }
            return result
        }
        let direction = parts(v)
        func run(_ graph: Graph, _ w: [Double]) throws -> [String: [Double]] {
            let inputs = try zip(graph.inputs, graph.inputNames).map { value, name in
                let shape = graph.type(of: value).shape
                if name == "image" { return ReferenceTensor<Double>(.f32, shape, batch.images.map(Double.init)) }
                if name == "targets" { return ReferenceTensor<Double>(.f32, shape, batch.targets.map(Double.init)) }
                if sites.contains(name) { return ReferenceTensor<Double>(.f32, shape, Array(a[..<shape[0]])) }
                return try #require(direction[String(name.dropFirst("direction.".count))])
            }
            let outputs = try Interpreter.run(graph, inputs: inputs, parameters: parts(w)).map(\.reals)
            return Dictionary(uniqueKeysWithValues: zip(graph.outputNames, outputs))
        }
        let products = try run(form.secondOrderProducts(inputs: Set(sites)), w)
        let gradient = try form.withParameterGradients(inputs: Set(sites)), step = 1e-6
        let up = try run(gradient, zip(w, v).map { $0 + step * $1 })
        let down = try run(gradient, zip(w, v).map { $0 - step * $1 })
        func flat(_ values: [String: [Double]], _ prefix: String, _ names: [String]) -> [Double] {
            names.flatMap { values[prefix + $0] ?? [] }
        }
        let executed = try programs.products().run(
            batch, mixture: sites.map { _ in [Double](repeating: 0.2, count: 5) }, direction: v,
            random: RandomSource(seed: 1))
        for (names, found) in [(weights.map(\.name), executed.hessian), (sites, executed.mixed.flatMap { $0 })] {
            let exact = flat(products, "product.", names)
            let difference = zip(flat(up, "grad.", names), flat(down, "grad.", names)).map { ($0 - $1) / (2 * step) }
            #expect(exact.count == found.count && difference.count == found.count)
            #expect(SampleStatistics.cosine(exact, difference) > 0.9999)
            #expect(SampleStatistics.cosine(exact, found) > 0.999)
        }
        #expect(programs.values == w)
        #expect(try programs.products().slowOperators.isEmpty)
        #expect(try programs.step(.both).slowOperators.isEmpty)
    }

    /// Relaxed samples of fixed noise, of a network of two cells that share their choices: the gradient with respect to the
    /// logits against differences of the loss, in double precision.
    @Test func aPathwiseGradientOfASupernetIsExact() throws {
        let stage = "  - {width: 8, cell: cell}\n"
        let space = try SearchSpace(
            yaml: PlantedTask.micro.replacing(stage, with: stage + stage), file: "two cells.yaml")
        let form = try Supernet(space).buildMixture(batch: 4, .training(softTargets: true)).graph
        let sites = space.sites.map(\.site), graph = try form.withParameterGradients([], inputs: Set(sites))
        var random = RandomSource(seed: 12)
        let store = ParameterStore()
        try store.prepare(for: form, random: random)
        let parameters = Dictionary(
            uniqueKeysWithValues: store.tensors.map {
                ($0.name, ReferenceTensor<Double>(.f32, $0.shape, $0.values.map(Double.init)))
            })
        let images = (0..<(4 * 8 * 16)).map { _ in random.normal() }
        let targets = (0..<4).flatMap { _ in softmax((0..<space.classes).map { _ in random.normal() }) }
        let noise = sites.map { _ in (0..<5).map { _ in random.uniformOpen() } }
        let relaxation = Relaxation.concrete(tau: 0.7)
        func run(_ logits: [[Double]]) throws -> [String: [Double]] {
            let mixture = zip(logits, noise).map { relaxation.weights($0, noise: $1) }
            let inputs = zip(graph.inputs, graph.inputNames).map { value, name in
                let values =
                    sites.firstIndex(of: name).map { mixture[$0] } ?? (name == "image" ? images : targets)
                return ReferenceTensor<Double>(.f32, graph.type(of: value).shape, values)
            }
            let outputs = try Interpreter.run(graph, inputs: inputs, parameters: parameters).map(\.reals)
            return Dictionary(uniqueKeysWithValues: zip(graph.outputNames, outputs))
        }
        let logits = sites.map { _ in (0..<5).map { _ in random.normal() } }, found = try run(logits), step = 1e-5
        for site in sites.indices {
            let byMixture = try #require(found[Graph.FormName.gradientPrefix + sites[site]])
            let exact = relaxation.pullback(byMixture, logits[site], noise: noise[site])
            let differences = try (0..<5).map { index in
                var up = logits, down = logits
                up[site][index] += step
                down[site][index] -= step
                return try (#require(run(up)["loss"]?.first) - #require(run(down)["loss"]?.first)) / (2 * step)
            }
            let length = differences.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let error = zip(exact, differences).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
            #expect(length > 0 && error < 1e-4 * length, "\(exact) \(differences)")
        }
    }

    @Test func clampedWeightsAreNeverRevivedAndNodesKeepTwoEdges() throws {
        let space = try SpaceLibrary().space("darts-micro")
        let state = try ArchitectureState(space, .prime(activation: true), random: RandomSource(seed: 1))
        #expect(state.active.allSatisfy { !$0.contains(0) })
        for site in space.sites.indices { state.assign([0, -0.1, -0.2, -0.3, -0.4], site: site) }
        #expect(state.prune())
        for edges in space.incomingEdges { #expect(edges.filter { !state.active[$0].isEmpty }.count == 2) }
        let active = state.active
        for site in space.sites.indices { state.assign([1, 1, 1, 1, 1], site: site) }
        #expect(!state.prune())
        #expect(state.active == active)
        #expect(
            zip(state.mixture(.clamped, state.noise(RandomSource(seed: 2))), active).allSatisfy { row, active in
                row.indices.allSatisfy { row[$0] == 0 || active.contains($0) }
            })
    }

    @Test func slotsThatChooseTheSameArePenalised() throws {
        let m = [[0.2, 0.8], [0.5, 0.5], [0.3, 0.7], [0.6, 0.4]]
        let slots = [DuplicatePenalty.Slots(inputs: (0, 2), operators: (1, 3))]
        let penalty = DuplicatePenalty(strength: 0.2)
        let (value, gradient) = penalty(m, slots: slots)
        #expect(abs(value - 0.2 * (0.2 * 0.3 + 0.8 * 0.7) * (0.5 * 0.6 + 0.5 * 0.4)) < 1e-12)
        for site in m.indices {
            for index in m[site].indices {
                var moved = m
                moved[site][index] += 1e-6
                let difference = (penalty(moved, slots: slots).value - value) / 1e-6
                #expect(abs(difference - gradient[site][index]) < 1e-6)
            }
        }
    }
}
