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
        let random = RandomSource(seed: seed)
        let architecture = Int((Double(images) * recipe.split.architectureShare).rounded())
        let splits = try DataSplits(
            corpus, weights: images - architecture, architecture: architecture, validation: 1000,
            random: random.fork("data"))
        let settings = SearchConfiguration.Training(
            epochs: 1, batch: batch, rule: recipe.weights, augmentation: Augmentation(flip: true))
        let search = try RelaxedSearch(
            space, recipe, settings: settings, steps: steps,
            images: RelaxedSearch.Images(splits, recipe, settings, random: random), cost: nil, backend: backend,
            random: random.fork("search"))
        var seen: [Observation] = []
        while search.step < steps {
            try search.advance()
            if search.step.isMultiple(of: every) || search.step == steps { seen.append(try search.observe()) }
        }
        return (search.architecture, seen)
    }
}
