import CKernels
import Foundation
public import IR

/// Serves the batches of a split: a pure function of (seed, step), so that a resumed run sees the same ones.
///
/// The next batch is assembled on a thread of its own while the current one is in use. A batch is valid until the next
/// call of ``batch(_:)``.
public final class BatchLoader<Role: SplitRole> {
    /// In which order the images come.
    public enum Order: Sendable {
        /// A new order every epoch; an incomplete last batch is left out.
        case shuffled
        /// As they are, once per epoch; the last batch may have empty rows.
        case sequential
    }

    public let split: DataSplit<Role>
    public let batchSize: Int
    public let batchesPerEpoch: Int
    public let augmentation: Augmentation
    private let order: Order
    private let prefetches: Bool
    private let assembler: BatchAssembler
    private let random: RandomSource
    private var buffers: [Batch]
    private var current = 0
    private var pending: (step: Int, work: DispatchWorkItem)?
    private var epoch: (number: Int, order: [Int32])?
    private let queue = DispatchQueue(label: "martlet.batches", qos: .userInitiated)

    /// - Throws: ``DataError`` when the split holds no image, or fewer than a batch in shuffled order.
    public init(
        _ split: DataSplit<Role>, batchSize: Int, order: Order = .shuffled, augmentation: Augmentation = .none,
        layout: Layout = .plain, prefetches: Bool = true, random: RandomSource
    ) throws(DataError) {
        precondition(batchSize > 0, "a batch holds at least one image")
        let needed = order == .shuffled ? batchSize : 1
        guard split.count >= needed else {
            throw DataError(
                .tooSmall,
                "the \(Role.label) part of \(split.images.name) holds \(split.count) images, expected at least \(needed)"
            )
        }
        self.split = split
        self.batchSize = batchSize
        self.order = order
        self.prefetches = prefetches
        self.augmentation = augmentation
        self.random = random.fork("order")
        batchesPerEpoch = order == .shuffled ? split.count / batchSize : (split.count + batchSize - 1) / batchSize
        assembler = BatchAssembler(
            images: split.images, table: split.normalization.table, augmentation: augmentation,
            random: random.fork("augmentation"))
        buffers = (0..<2).map { _ in Batch(capacity: batchSize, images: split.images, layout: layout) }
    }

    deinit { pending?.work.wait() }

    /// The batch of a step, counted from 0 over all epochs.
    public func batch(_ step: Int) -> Batch {
        precondition(step >= 0, "steps are counted from 0")
        if let pending {
            pending.work.wait()
            self.pending = nil
            if pending.step == step {
                current = 1 - current
            } else {
                assembler.fill(buffers[current], indices(step), step)
            }
        } else {
            assembler.fill(buffers[current], indices(step), step)
        }
        if prefetches {
            let (assembler, next, indices) = (assembler, buffers[1 - current], indices(step + 1))
            let work = DispatchWorkItem { assembler.fill(next, indices, step + 1) }
            pending = (step + 1, work)
            queue.async(execute: work)
        }
        return buffers[current]
    }

    private func indices(_ step: Int) -> ArraySlice<Int32> {
        let (number, index) = step.quotientAndRemainder(dividingBy: batchesPerEpoch)
        let start = index * batchSize
        let end = min(start + batchSize, split.count)
        guard order == .shuffled else { return split.indices[start..<end] }
        if epoch?.number != number {
            var random = random.fork(number)
            var shuffled = split.indices
            random.shuffle(&shuffled)
            epoch = (number, shuffled)
        }
        return epoch?.order[start..<end] ?? []
    }
}

/// Fills batches; holds nothing that changes.
struct BatchAssembler: Sendable {
    let images: ImageSet
    let table: [Float]
    let augmentation: Augmentation
    let random: RandomSource

    func fill(_ batch: Batch, _ indices: ArraySlice<Int32>, _ step: Int) {
        var random = random.fork(step)
        let (height, width, channels) = (images.height, images.width, images.channels)
        let size = height * width * channels
        let plans = indices.map { plan(Int64($0), &random) }
        let channelsLast: Int32 = if case .channelsLast = batch.layout { 1 } else { 0 }
        batch.count = plans.count
        func assemble(_ out: UnsafeMutablePointer<Float>?) {
            martlet_data_batch(
                images.pixels, Int64(height), Int64(width), Int64(channels), plans, Int64(plans.count), table,
                Int64(height), Int64(width), channelsLast, out)
        }
        fillTargets(batch, indices)
        if augmentation.mixup > 0 {
            let weight = Float(random.beta(augmentation.mixup, augmentation.mixup))
            let partners = random.permutation(plans.count).map { Int32($0) }
            let (rows, classes) = (Int64(plans.count), Int64(batch.classCount))
            withUnsafeTemporaryAllocation(of: Float.self, capacity: batch.capacity * size) { plain in
                assemble(plain.baseAddress)
                martlet_data_mix(plain.baseAddress, partners, rows, Int64(size), weight, batch.images.baseAddress)
            }
            let unmixed = Array(batch.targets)
            martlet_data_mix(unmixed, partners, rows, classes, weight, batch.targets.baseAddress)
        } else {
            assemble(batch.images.baseAddress)
        }
        batch.images[(plans.count * size)...].update(repeating: 0)
    }

    private func plan(_ index: Int64, _ random: inout RandomSource) -> MartletImagePlan {
        var plan = MartletImagePlan()
        plan.index = index
        let padding = augmentation.cropPadding
        if padding > 0 {
            plan.top = Int32(random.integer(below: 2 * padding + 1) - padding)
            plan.left = Int32(random.integer(below: 2 * padding + 1) - padding)
        }
        if augmentation.flip { plan.flip = random.bernoulli() ? 1 : 0 }
        let side = augmentation.cutout
        if side > 0 {
            let top = random.integer(below: images.height) - side / 2
            let left = random.integer(below: images.width) - side / 2
            plan.cut_top = Int32(max(0, top))
            plan.cut_bottom = Int32(min(images.height, top + side))
            plan.cut_left = Int32(max(0, left))
            plan.cut_right = Int32(min(images.width, left + side))
        }
        return plan
    }

    private func fillTargets(_ batch: Batch, _ indices: ArraySlice<Int32>) {
        let classes = batch.classCount
        let rest = Float(augmentation.labelSmoothing / Double(classes))
        let hit = Float(1 - augmentation.labelSmoothing) + rest
        let filled = indices.count * classes
        batch.targets[..<filled].update(repeating: rest)
        batch.targets[filled...].update(repeating: 0)
        batch.labels[indices.count...].update(repeating: -1)
        for (row, index) in indices.enumerated() {
            let label = images.labels[Int(index)]
            batch.labels[row] = label
            batch.targets[row * classes + Int(label)] = hit
        }
    }
}
