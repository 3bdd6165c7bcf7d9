import IR

/// What a part of the data may be used for. A search takes `DataSplit<Weights>` and the like, so handing it images of
/// another role does not compile.
public protocol SplitRole: Sendable {
    static var label: String { get }
}

public enum Split {
    /// Trains the network's weights.
    public enum Weights: SplitRole { public static let label = "weights" }
    /// Trains architecture parameters (the upper level of a bilevel search).
    public enum Architecture: SplitRole { public static let label = "architecture" }
    /// Compares candidates and stops training; never gives a gradient.
    public enum Validation: SplitRole { public static let label = "validation" }
    /// The published test images: for the last line of a report alone.
    public enum Test: SplitRole { public static let label = "test" }
}

/// Images with a role. Only ``DataSplits`` makes them.
public struct DataSplit<Role: SplitRole>: Sendable {
    public let images: ImageSet
    /// Positions in `images`.
    public let indices: [Int32]
    public let normalization: Normalization

    init(_ images: ImageSet, _ indices: [Int32], _ normalization: Normalization) {
        self.images = images
        self.indices = indices
        self.normalization = normalization
    }

    public var count: Int { indices.count }

    /// The first `limit` images, for measurements that need no more.
    public func prefix(_ limit: Int) -> DataSplit { DataSplit(images, Array(indices.prefix(limit)), normalization) }
}

/// The four parts of a data set, disjoint, with the classes in the same proportions.
public struct DataSplits: Sendable {
    public let weights: DataSplit<Split.Weights>
    public let architecture: DataSplit<Split.Architecture>
    public let validation: DataSplit<Split.Validation>
    public let test: DataSplit<Split.Test>
    /// Constants of the training images, shared by all parts and exported with the network.
    public let normalization: Normalization

    /// Splits the training images; the test images become the test part.
    ///
    /// - Parameter weights: Number of images; `nil` takes all that the other two leave.
    /// - Throws: ``DataError`` when the parts hold more images than there are.
    public init(
        _ corpus: ImageCorpus, weights: Int? = nil, architecture: Int = 0, validation: Int = 0, random: RandomSource
    ) throws(DataError) {
        let total = corpus.training.count
        let first = weights ?? total - architecture - validation
        guard first > 0, architecture >= 0, validation >= 0, first + architecture + validation <= total else {
            throw DataError(
                .tooSmall,
                "\(corpus.name): cannot take \(weights.map(String.init) ?? "some") images for weights, \(architecture) "
                    + "for architecture and \(validation) for validation out of \(total) training images")
        }
        let normalization = Normalization(of: corpus.training)
        let order = Self.stratified(corpus.training, random.fork("split"))
        func part<Role: SplitRole>(_ start: Int, _ count: Int) -> DataSplit<Role> {
            DataSplit(corpus.training, Array(order[start..<start + count]), normalization)
        }
        self.normalization = normalization
        self.weights = part(0, first)
        self.architecture = part(first, architecture)
        self.validation = part(first + architecture, validation)
        test = DataSplit(corpus.test, (0..<Int32(corpus.test.count)).map { $0 }, normalization)
    }

    /// Everything but validation and test: for training the found network from scratch, when nothing is searched
    /// any more.
    public var retraining: DataSplit<Split.Weights> {
        DataSplit(weights.images, weights.indices + architecture.indices, normalization)
    }

    /// An order of the images in which every prefix, and so every contiguous part, holds the classes in proportion.
    private static func stratified(_ images: ImageSet, _ random: RandomSource) -> [Int32] {
        var byClass = [[Int32]](repeating: [], count: images.classCount)
        for (index, label) in images.labels.enumerated() { byClass[Int(label)].append(Int32(index)) }
        var keyed: [(key: Double, index: Int32)] = []
        for (label, members) in byClass.enumerated() {
            var random = random.fork(label)
            var members = members
            random.shuffle(&members)
            let offset = random.uniform()
            for (rank, index) in members.enumerated() {
                keyed.append(((Double(rank) + offset) / Double(members.count), index))
            }
        }
        return keyed.sorted { ($0.key, $0.index) < ($1.key, $1.index) }.map(\.index)
    }
}
