public import IR

/// Images, targets and labels of one step in memory that is filled anew for another.
///
/// `@unchecked Sendable`: the memory is private to the batch. A ``BatchLoader`` fills a batch on its own queue, waits
/// for that to end before handing the batch out, and does not touch it again until the next one is asked for.
public final class Batch: @unchecked Sendable {
    /// Rows of the batch, and how many of them hold images; the others are zeros with label -1.
    public let capacity: Int
    public internal(set) var count = 0
    public let imageShape: [Int]
    public let classCount: Int
    public let layout: Layout
    /// `[capacity, C, H, W]`, or `[capacity, H, W, C]` in the channels-last layout; 64-byte aligned.
    public let images: UnsafeMutableBufferPointer<Float>
    /// Probabilities `[capacity, classes]`: one-hot unless smoothed or mixed; 64-byte aligned.
    public let targets: UnsafeMutableBufferPointer<Float>
    /// The class of each image, before mixing; 64-byte aligned.
    public let labels: UnsafeMutableBufferPointer<Int32>

    init(capacity: Int, images: ImageSet, layout: Layout) {
        self.capacity = capacity
        imageShape = [images.channels, images.height, images.width]
        classCount = images.classCount
        self.layout = layout
        self.images = aligned(capacity * images.channels * images.height * images.width, zero: 0)
        targets = aligned(capacity * classCount, zero: 0)
        labels = aligned(capacity, zero: -1)
    }

    /// A batch of given images, such as drawn ones.
    ///
    /// - Parameters:
    ///   - images: `[count, C, H, W]` in row-major order.
    ///   - targets: `[count, classes]`; the label of an image is its most probable class.
    public init(images values: [Float], shape: [Int], targets distributions: [Float], classes: Int) {
        count = values.count / shape.reduce(1, *)
        (capacity, imageShape, classCount, layout) = (count, shape, classes, .plain)
        precondition(distributions.count == count * classes, "a batch has a distribution for every image")
        images = aligned(values.count, zero: 0)
        targets = aligned(distributions.count, zero: 0)
        labels = aligned(count, zero: -1)
        _ = images.update(fromContentsOf: values)
        _ = targets.update(fromContentsOf: distributions)
        for row in 0..<count {
            let own = distributions[(row * classes)..<((row + 1) * classes)]
            labels[row] = Int32((own.indices.max { own[$0] < own[$1] } ?? own.startIndex) - own.startIndex)
        }
    }

    deinit {
        images.baseAddress.map { UnsafeMutableRawPointer($0).deallocate() }
        targets.baseAddress.map { UnsafeMutableRawPointer($0).deallocate() }
        labels.baseAddress.map { UnsafeMutableRawPointer($0).deallocate() }
    }
}

/// Memory for `count` elements on a cache line's border, set to `zero`; the owner frees it.
func aligned<T>(_ count: Int, zero: T) -> UnsafeMutableBufferPointer<T> {
    let bytes = max(count, 1) * MemoryLayout<T>.stride
    let memory = UnsafeMutableRawPointer.allocate(byteCount: (bytes + 63) / 64 * 64, alignment: 64)
    let buffer = UnsafeMutableBufferPointer(start: memory.bindMemory(to: T.self, capacity: max(count, 1)), count: count)
    buffer.initialize(repeating: zero)
    return buffer
}
