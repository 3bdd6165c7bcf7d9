import IR
import Training

extension RelaxedSearch.Images {
    /// The images of a data set by their roles: weights learn from theirs, the architecture from its own.
    ///
    /// - Throws: ``DataError`` when a part holds less than a batch.
    init(
        _ splits: DataSplits, _ recipe: Recipe, _ settings: SearchConfiguration.Training, random: RandomSource
    ) throws {
        let batch = settings.batch, augmentation = settings.augmentation
        let own = try BatchLoader(
            splits.weights, batchSize: batch, augmentation: augmentation, random: random.fork("supernet images"))
        let more = try BatchLoader(
            splits.weights, batchSize: batch, augmentation: augmentation, prefetches: false,
            random: random.fork("further images"))
        let held = try BatchLoader(
            splits.validation, batchSize: batch, prefetches: false, random: random.fork("observed images"))
        (training, architecture, further, validation) = (own.batch, own.batch, more.batch, held.batch)
        validationBatches = min(4, held.batchesPerEpoch)
        guard recipe.split != .shared else { return }
        let outer = try BatchLoader(
            splits.architecture, batchSize: batch, augmentation: augmentation,
            random: random.fork("architecture images"))
        architecture = outer.batch
    }
}
