import Execution
import IR
import Passes
import Spaces
import Training

/// Data that one known architecture explains: a search is scored by how many of its choices it finds again.
///
/// A network of the architecture with random weights labels Gaussian images by the probabilities that it gives the
/// classes; its logits are perturbed a little and scaled so that the labels say something.
public final class PlantedTask {
    public let space: SearchSpace
    public let planted: Architecture
    /// Every architecture that computes what the planted one does, that itself among them.
    public let equivalents: [Architecture]
    private let images: [Float]
    private let targets: [Float]
    private let imageSize: Int
    private let training: Int
    private let validation: Int
    let backend: Backend
    /// Where the searches keep activations and gradients.
    let arena = Arena()

    /// One cell of three nodes over five operators on 4x4 images of eight channels. No operator can do what another does,
    /// and nothing learns in front of the cell, so that the planted one is the best there is.
    public static let micro = """
        format: 1
        name: planted
        source: Our own, after Dong and Yang, NAS-Bench-201, ICLR 2020
        input: [8, 4, 4]
        classes: 8
        activation: none
        cells:
          cell: {nodes: 3, operators: [none, skip_connect, nor_conv_3x3, avg_pool_3x3, max_pool_3x3]}
        stem:
          - batch_norm
        stages:
          - {width: 8, cell: cell}
        head:
          - batch_norm: {activation: relu}
          - global_average_pool
          - linear
        """

    /// The same with a cell in which edges compete: two inputs, two nodes, five edges of which four are kept.
    public static let competing = micro.replacing(
        "cell: {nodes: 3,", with: "cell: {wiring: two_inputs, nodes: 2,")

    /// - Parameters:
    ///   - training, validation: Numbers of images; the architecture learns from half of the former.
    public init(
        _ space: SearchSpace, training: Int = 4096, validation: Int = 1024, threads: Int = 1, seed: UInt64
    ) throws {
        self.space = space
        (self.training, self.validation) = (training, validation)
        backend = .executor(pool: try ThreadPool(threads: threads), arena: arena, effort: .quick)
        let random = RandomSource(seed: seed).fork("planted")
        var choices = random.fork("choices")
        var drawn = space.sites.map { site in
            // What an edge without an operator of its own does, its neighbours can do as well: it leaves no trace.
            choices.element(
                of: site.alternatives.indices.filter { !["none", "skip_connect"].contains(site.alternatives[$0]) })
        }
        // Of edges that compete, a node has two.
        for edges in space.layout.nodes where edges.count > 2 {
            let order = choices.permutation(edges.count)
            for index in order.dropFirst(2) { drawn[edges[index]] = space.layout.none[edges[index]] ?? 0 }
        }
        planted = Architecture(choices: drawn)
        equivalents = space.equivalents(of: planted)
        let count = training + validation, shape = space.input
        imageSize = shape.channels * shape.height * shape.width
        var pixels = random.fork("images")
        images = (0..<(count * imageSize)).map { _ in Float(pixels.normal()) }

        let form = try Supernet(space).build(planted, batch: count, .calibration).graph
        let store = ParameterStore()
        try store.prepare(for: form, random: random.fork("teacher"))
        let program = try backend.program(form, store: store)
        try images.withUnsafeBytes { try program.run([$0.baseAddress!]) }
        let logits = program.output(0).map(Double.init), classes = space.classes
        var noise = random.fork("noise")
        var targets = [Float](repeating: 0, count: count * classes)
        // Each class has the same part in the labels: its logits have mean 0 and deviation 3.
        let means = (0..<classes).map { k in
            SampleStatistics.mean(stride(from: k, to: logits.count, by: classes).map { logits[$0] })
        }
        let deviations = (0..<classes).map { k in
            max(1e-6, SampleStatistics.deviation(stride(from: k, to: logits.count, by: classes).map { logits[$0] }))
        }
        for row in 0..<count {
            let scores = (0..<classes).map { k in
                3 * ((logits[row * classes + k] - means[k]) / deviations[k] + noise.normal(deviation: 0.05))
            }
            for (k, p) in softmax(scores).enumerated() { targets[row * classes + k] = Float(p) }
        }
        self.targets = targets
    }

    private func batch(_ rows: [Int]) -> Batch {
        Batch(
            images: rows.flatMap { images[($0 * imageSize)..<(($0 + 1) * imageSize)] },
            shape: [space.input.channels, space.input.height, space.input.width],
            targets: rows.flatMap { targets[($0 * space.classes)..<(($0 + 1) * space.classes)] }, classes: space.classes
        )
    }

    /// Batches of drawn rows of a range, as a function of the step.
    private func source(_ range: Range<Int>, size: Int, _ random: RandomSource) -> (Int) -> Batch {
        { [self] step in
            var random = random.fork(step)
            return batch((0..<size).map { _ in range.lowerBound + random.integer(below: range.count) })
        }
    }

    /// What a search of a recipe found.
    public struct Result: Codable, Sendable {
        public var architecture: Architecture
        /// The share of choices that are the planted ones, or those of a network that computes the same.
        public var recovered: Double
        /// Loss of the chosen network above that of the mixture, with the same weights.
        public var gap: Double
        /// The same in points of accuracy, positive when the chosen network is worse.
        public var accuracyGap: Double
        public var entropy: Double
        public var skipShare: Double
        public var confidence: Double
        public var seconds: Double
    }

    /// Searches the space by a recipe.
    public func search(_ recipe: Recipe, steps: Int, batch size: Int = 64, seed: UInt64) throws -> Result {
        let start = ContinuousClock().now
        let search = try loop(recipe, steps: steps, batch: size, seed: seed)
        for _ in 0..<steps { try search.advance() }
        return try result(search, start)
    }

    /// A batch of given rows.
    func rows(_ range: Range<Int>) -> Batch { batch(Array(range)) }

    /// The loop of a search, as it starts.
    func loop(
        _ recipe: Recipe, steps: Int, batch size: Int, seed: UInt64, cost: ArchitectureCost? = nil
    ) throws -> RelaxedSearch {
        let random = RandomSource(seed: seed).fork("search")
        let shared = recipe.split == .shared
        let half = shared ? training : training / 2
        let further = random.fork("further"), own = random.fork("architecture")
        let images = RelaxedSearch.Images(
            training: source(0..<half, size: size, random.fork("training")),
            architecture: source(shared ? 0..<training : half..<training, size: size, own),
            further: source(0..<half, size: size, further),
            validation: { [self] index in
                let first = training + index * size
                return self.batch(Array(first..<(first + size)))
            }, validationBatches: validation / size)
        let settings = SearchConfiguration.Training(
            epochs: 1, batch: size, rule: recipe.weights, augmentation: .none)
        return try RelaxedSearch(
            space, recipe, settings: settings, steps: steps, images: images, cost: cost, backend: backend,
            random: random)
    }

    /// The share of choices that are those of an architecture that computes what the planted one does.
    public func recovered(_ found: Architecture) -> Double {
        let hits = equivalents.map { other in zip(found.choices, other.choices).filter { $0 == $1 }.count }
        return Double(hits.max() ?? 0) / Double(planted.choices.count)
    }

    private func result(_ search: RelaxedSearch, _ start: ContinuousClock.Instant) throws -> Result {
        let seen = try search.observe()
        let found = search.architecture
        let vertex = zip(space.sites, found.choices).map { site, choice in
            site.alternatives.indices.map { $0 == choice ? 1.0 : 0 }
        }
        let chosen = try search.judge(vertex)
        let time = (ContinuousClock().now - start).components
        return Result(
            architecture: found, recovered: recovered(found), gap: seen.discretizationGap,
            accuracyGap: 100 * (seen.validationAccuracy - chosen.accuracy), entropy: seen.entropy,
            skipShare: seen.skipShare, confidence: seen.confidence,
            seconds: Double(time.seconds) + Double(time.attoseconds) * 1e-18)
    }
}

extension SearchSpace {
    /// The architectures of a small space of cells that compute the same as one of them.
    func equivalents(of architecture: Architecture) -> [Architecture] {
        let own = expression(of: architecture)
        // Inputs that are one image behind weights of their own can change places.
        return MicroBenchmark.all(self).filter { other in
            expression(of: other) == own || expression(of: other, swapped: true) == own
        }
    }

    /// What the cells compute: a sum of terms for each, in which skips have vanished.
    private func expression(of architecture: Architecture, swapped: Bool = false) -> [[String]] {
        cells.map { cell in
            var nodes = (0..<cell.wiring.inputs).map { [$0 == (swapped ? 1 : 0) ? "x" : "y"] }
            for to in cell.wiring.inputs..<cell.nodes {
                let terms = (0..<to).flatMap { from -> [String] in
                    let site = cell.site(from: from, to: to)
                    switch sites[site].alternatives[architecture[site]] {
                    case "none": return []
                    case "skip_connect": return nodes[from]
                    case let label:
                        return nodes[from].isEmpty ? [] : ["\(label)(\(nodes[from].joined(separator: "+")))"]
                    }
                }
                nodes.append(terms.sorted())
            }
            // Cells of two inputs give all of their nodes.
            return cell.wiring == .dense ? nodes[cell.nodes - 1] : nodes.dropFirst(2).flatMap { $0 + ["|"] }
        }
    }
}
