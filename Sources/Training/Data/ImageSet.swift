import CKernels

/// Labelled images as bytes, `[N, H, W, C]`, with what is needed to feed them to a network.
public struct ImageSet: Sendable {
    public let name: String
    public let height: Int
    public let width: Int
    public let channels: Int
    /// Row-major `[N, H, W, C]`.
    public let pixels: [UInt8]
    /// One class index per image, each in `0 ..< classNames.count`.
    public let labels: [Int32]
    public let classNames: [String]

    public var count: Int { labels.count }
    public var classCount: Int { classNames.count }

    /// - Throws: ``DataError`` when the counts do not fit together or a label is out of range.
    public init(
        name: String, height: Int, width: Int, channels: Int, pixels: [UInt8], labels: [Int32], classNames: [String]
    ) throws(DataError) {
        let size = height * width * channels
        guard height > 0, width > 0, channels > 0, pixels.count == labels.count * size else {
            throw DataError(
                .mismatch,
                "\(name): \(labels.count) labels of \(height)x\(width)x\(channels) images need "
                    + "\(labels.count * size) pixel bytes, found \(pixels.count)")
        }
        try Self.checkLabels(labels, classes: classNames.count, file: nil)
        self.name = name
        self.height = height
        self.width = width
        self.channels = channels
        self.pixels = pixels
        self.labels = labels
        self.classNames = classNames
    }

    static func checkLabels(_ labels: [Int32], classes: Int, file: String?) throws(DataError) {
        let bound = Int32(classes)
        for (index, label) in labels.enumerated() where label < 0 || label >= bound {
            throw DataError(.badLabel, "label \(index) is \(label), expected 0 to \(classes - 1)", file: file)
        }
    }

    /// The images resized: means of covered pixels along an axis that shrinks, linear interpolation along one that
    /// grows. 28x28 to 14x14 is the mean of 2x2 pixels.
    public func resized(height: Int, width: Int) -> ImageSet {
        precondition(height > 0 && width > 0, "an image needs a positive size")
        guard (height, width) != (self.height, self.width) else { return self }
        var row = [Float](repeating: 0, count: width * channels)
        let resized = [UInt8](unsafeUninitializedCapacity: count * height * width * channels) { buffer, initialized in
            martlet_data_resize(
                pixels, Int64(count), Int64(self.height), Int64(self.width), Int64(channels), Int64(height),
                Int64(width), &row, buffer.baseAddress)
            initialized = count * height * width * channels
        }
        return replacing(height: height, width: width, pixels: resized)
    }

    /// The images with a black border (where larger) or cropped around the centre (where smaller).
    public func framed(height: Int, width: Int) -> ImageSet {
        precondition(height > 0 && width > 0, "an image needs a positive size")
        let framed = [UInt8](unsafeUninitializedCapacity: count * height * width * channels) { buffer, initialized in
            martlet_data_frame(
                pixels, Int64(count), Int64(self.height), Int64(self.width), Int64(channels), Int64(height),
                Int64(width), buffer.baseAddress)
            initialized = count * height * width * channels
        }
        return replacing(height: height, width: width, pixels: framed)
    }

    /// The images at the given positions, in that order.
    public func selecting(_ indices: [Int]) -> ImageSet {
        let size = height * width * channels
        var chosen: [UInt8] = []
        chosen.reserveCapacity(indices.count * size)
        for index in indices { chosen.append(contentsOf: pixels[index * size..<(index + 1) * size]) }
        return ImageSet(
            trusted: self, height: height, width: width, pixels: chosen, labels: indices.map { labels[$0] })
    }

    private func replacing(height: Int, width: Int, pixels: [UInt8]) -> ImageSet {
        ImageSet(trusted: self, height: height, width: width, pixels: pixels, labels: labels)
    }

    private init(trusted other: ImageSet, height: Int, width: Int, pixels: [UInt8], labels: [Int32]) {
        name = other.name
        channels = other.channels
        classNames = other.classNames
        self.height = height
        self.width = width
        self.pixels = pixels
        self.labels = labels
    }
}

/// Per-channel constants that turn bytes into network inputs: `(byte / 255 - mean) / deviation`.
public struct Normalization: Codable, Hashable, Sendable {
    public var mean: [Double]
    public var deviation: [Double]

    public init(mean: [Double], deviation: [Double]) {
        precondition(mean.count == deviation.count, "each channel needs a mean and a deviation")
        self.mean = mean
        self.deviation = deviation
    }

    /// The constants that give the pixels of `images` mean 0 and deviation 1 in every channel.
    ///
    /// Sums are taken over exact integer counts, so the result does not depend on an order of summation. A channel
    /// of one single value gets deviation 1.
    public init(of images: ImageSet) {
        let channels = images.channels
        var histogram = [Int64](repeating: 0, count: channels * 256)
        martlet_data_histogram(
            images.pixels, Int64(images.count * images.height * images.width), Int64(channels), &histogram)
        mean = []
        deviation = []
        for channel in 0..<channels {
            let counts = histogram[channel * 256..<(channel + 1) * 256].map { Double($0) }
            let total = max(counts.reduce(0, +), 1)
            let first = counts.indices.reduce(0) { $0 + Double($1) * counts[$1] } / total
            let second = counts.indices.reduce(0) { $0 + (Double($1) - first) * (Double($1) - first) * counts[$1] }
            mean.append(first / 255)
            deviation.append(second > 0 ? (second / total).squareRoot() / 255 : 1)
        }
    }

    /// The normalised value of every byte, `[C][256]`.
    var table: [Float] {
        zip(mean, deviation).flatMap { mean, deviation in
            (0..<256).map { Float((Double($0) / 255 - mean) / deviation) }
        }
    }
}
