import Execution
import IR
import Passes
import Spaces
import Training

/// Searches by recipes on images, without the rest of a run: what was found, and how the search looked on the way.
public final class RecipeStudy {
    public let space: SearchSpace
    private let corpus: ImageCorpus
    private let images: Int
    private let backend: Backend

    /// - Parameter images: Training images in all; what the architecture needs comes out of them.
    public init(_ space: SearchSpace, corpus: ImageCorpus, images: Int, threads: Int) throws {
        var space = space
        space.classes = corpus.training.classCount
        self.space = space
        self.images = images
        self.corpus = corpus.resized(height: space.input.height, width: space.input.width)
        backend = .executor(pool: try ThreadPool(threads: threads), effort: .quick)
    }

    /// - Parameters:
    ///   - steps: Weight steps.
    ///   - every: Weight steps between two observations.
    public func search(
        _ recipe: Recipe, steps: Int, batch: Int, every: Int, seed: UInt64
    ) throws -> (architecture: Architecture, observations: [Observation]) {
        let search = try loop(recipe, steps: steps, batch: batch, seed: seed)
        var seen: [Observation] = []
        while search.step < steps {
            try search.advance()
            if search.step.isMultiple(of: every) || search.step == steps { seen.append(try search.observe()) }
        }
        return (search.architecture, seen)
    }

    /// What further terms of a hypergradient add to its partial gradient while a recipe searches.
    ///
    /// - Parameters:
    ///   - stages: At how many steps, spread evenly, the search is looked at.
    ///   - batches: How many batches each gradient is averaged over.
    public func terms(
        of family: [Hypergradient], along recipe: Recipe, steps: Int, batch: Int, stages: Int, batches: Int,
        seed: UInt64
    ) throws -> [ImplicitTerm] {
        let search = try loop(recipe, steps: steps, batch: batch, seed: seed)
        var found: [ImplicitTerm] = []
        try advance(search, stages: stages, batches: batches) {
            let gradients = try search.gradients(of: [.partial] + family, batches: batches)
            let skips = try search.observe().skipShare
            for (index, member) in family.enumerated() {
                found.append(
                    ImplicitTerm(
                        member, step: search.step, partial: gradients[0], whole: gradients[index + 1],
                        skips: space.sites.indices.map { site in
                            space.sites[site].alternatives.indices.map { space.isSkip(site, $0) }
                        }, skipShare: skips))
            }
        }
        return found
    }

    /// The objective of which a hypergradient is the derivative, as far as a run gets: the validation loss of a mixture
    /// that stays as it is while the weights are trained, and what gradients at those weights say about it.
    ///
    /// - Parameters:
    ///   - parameters: What an operator's parameter is, the same at every choice.
    ///   - family: Hypergradients to look at.
    ///   - stages: At how many steps, spread evenly, it is judged.
    ///   - batches: How many batches each loss and each gradient is averaged over.
    public func objective(
        of parameters: (String) -> Double, _ family: [Hypergradient], training recipe: Recipe, steps: Int, batch: Int,
        stages: Int, batches: Int, seed: UInt64
    ) throws -> [HeldMixture] {
        var recipe = recipe
        recipe.schedule = .weightsOnly
        let search = try loop(recipe, steps: steps, batch: batch, validationBatches: batches, seed: seed)
        for (site, choice) in space.sites.enumerated() {
            search.state.assign(choice.alternatives.map(parameters), site: site)
        }
        let mixture = search.state.probabilities
        var found: [HeldMixture] = []
        try advance(search, stages: stages, batches: batches) {
            let loss = try search.judge(mixture).loss
            let gradients = try search.gradients(of: family, batches: batches).map { rows in
                zip(space.sites, rows).reduce(into: [String: Double]()) { sums, pair in
                    for (name, value) in zip(pair.0.alternatives, pair.1) { sums[name, default: 0] += value }
                }
            }
            found.append(HeldMixture(step: search.step, loss: loss, slopes: gradients))
        }
        return found
    }

    /// Goes through a search to its end and looks at it after every stage that has seen enough batches to average over.
    private func advance(_ search: RelaxedSearch, stages: Int, batches: Int, look: () throws -> Void) throws {
        while search.step < search.steps {
            try search.advance()
            if search.step.isMultiple(of: max(1, search.steps / stages)), search.step >= batches { try look() }
        }
    }

    private func loop(
        _ recipe: Recipe, steps: Int, batch: Int, validationBatches: Int? = nil, seed: UInt64
    ) throws -> RelaxedSearch {
        let random = RandomSource(seed: seed)
        let architecture = Int((Double(images) * recipe.split.architectureShare).rounded())
        let splits = try DataSplits(
            corpus, weights: images - architecture, architecture: architecture, validation: 1000,
            random: random.fork("data"))
        let settings = SearchConfiguration.Training(
            epochs: 1, batch: batch, rule: recipe.weights, augmentation: Augmentation(flip: true))
        var images = try RelaxedSearch.Images(splits, recipe, settings, random: random)
        if let validationBatches { images.validationBatches = validationBatches }
        return try RelaxedSearch(
            space, recipe, settings: settings, steps: steps, images: images, cost: nil, backend: backend,
            random: random.fork("search"))
    }
}

/// A mixture that stayed as it is while weights were trained for it.
public struct HeldMixture: Sendable {
    public var step: Int
    /// Of the mixture on validation images.
    public var loss: Double
    /// By the hypergradients asked for: the derivative of the loss along an operator's parameter, moved at every choice.
    public var slopes: [[String: Double]]
}

/// The implicit term of a hypergradient beside the partial gradient, both with respect to the architecture's parameters.
public struct ImplicitTerm: Sendable {
    public var family: Hypergradient
    public var step: Int
    /// Its length over that of the partial gradient.
    public var share: Double
    /// Of the whole gradient to the partial one.
    public var cosine: Double
    /// The mean over the choices of what a step down the partial gradient adds to the parameter of the skip, and of what
    /// the implicit term adds to that, over the partial gradient's length.
    public var towardsSkip: (partial: Double, implicit: Double)
    public var skipShare: Double

    init(
        _ family: Hypergradient, step: Int, partial: [[Double]], whole: [[Double]], skips: [[Bool]], skipShare: Double
    ) {
        (self.family, self.step, self.skipShare) = (family, step, skipShare)
        let a = partial.flatMap { $0 }, b = whole.flatMap { $0 }, implicit = zip(a, b).map { $1 - $0 }
        func length(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        let unit = max(length(a), 1e-300), isSkip = skips.flatMap { $0 }
        let count = Double(max(1, isSkip.filter { $0 }.count))
        func pull(_ x: [Double]) -> Double { -zip(x, isSkip).reduce(0) { $0 + ($1.1 ? $1.0 : 0) } / count / unit }
        share = length(implicit) / unit
        cosine = SampleStatistics.cosine(a, b)
        towardsSkip = (pull(a), pull(implicit))
    }
}
