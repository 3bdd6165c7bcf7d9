import Foundation

/// A data set as published: images to train on, and the test images that no search may see.
public struct ImageCorpus: Sendable {
    public let name: String
    public let training: ImageSet
    public let test: ImageSet

    /// - Throws: ``DataError`` when the two sets differ in image size or classes.
    public init(name: String, training: ImageSet, test: ImageSet) throws(DataError) {
        guard
            (training.height, training.width, training.channels) == (test.height, test.width, test.channels),
            training.classNames == test.classNames
        else {
            throw DataError(
                .mismatch,
                "\(name): training images are \(training.height)x\(training.width)x\(training.channels) of "
                    + "\(training.classCount) classes, test images \(test.height)x\(test.width)x\(test.channels) of "
                    + "\(test.classCount)")
        }
        self.name = name
        self.training = training
        self.test = test
    }

    /// Both sets resized, see ``ImageSet/resized(height:width:)``.
    public func resized(height: Int, width: Int) -> ImageCorpus {
        ImageCorpus(name, training.resized(height: height, width: width), test.resized(height: height, width: width))
    }

    /// Both sets padded or cropped, see ``ImageSet/framed(height:width:)``.
    public func framed(height: Int, width: Int) -> ImageCorpus {
        ImageCorpus(name, training.framed(height: height, width: width), test.framed(height: height, width: width))
    }

    private init(_ name: String, _ training: ImageSet, _ test: ImageSet) {
        (self.name, self.training, self.test) = (name, training, test)
    }
}

/// A published data set that can be loaded by name.
public struct KnownCorpus: Sendable, Hashable {
    enum Format: Sendable, Hashable { case idx, cifar10, cifar100 }

    public let name: String
    /// Where it usually lies on this system; `nil` when the folder must be given.
    public let folder: String?
    /// How to get it, for messages.
    public let remedy: String
    let format: Format
    let classNames: [String]

    public static let fashionMNIST = KnownCorpus(
        name: "fashion-mnist", folder: "/usr/share/datasets/fashion-mnist",
        remedy: "Install Debian's package dataset-fashion-mnist, or name the folder that holds the four IDX files.",
        format: .idx,
        classNames: [
            "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
        ])
    public static let mnist = KnownCorpus(
        name: "mnist", folder: nil, remedy: "Name the folder that holds the four IDX files of MNIST.", format: .idx,
        classNames: (0...9).map(String.init))
    public static let cifar10 = KnownCorpus(
        name: "cifar10", folder: nil,
        remedy: "Name the folder of the binary version: data_batch_1.bin to data_batch_5.bin and test_batch.bin.",
        format: .cifar10,
        classNames: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"])
    public static let cifar100 = KnownCorpus(
        name: "cifar100", folder: nil, remedy: "Name the folder of the binary version: train.bin and test.bin.",
        format: .cifar100, classNames: [])

    public static let all = [fashionMNIST, mnist, cifar10, cifar100]

    /// The data set of the given name.
    ///
    /// - Throws: ``DataError`` listing the known names.
    public static func named(_ name: String) throws(DataError) -> KnownCorpus {
        if let known = all.first(where: { $0.name == name }) { return known }
        throw DataError(
            .missing, "unknown data set '\(name)'; known: \(all.map(\.name).joined(separator: ", ")).")
    }

    /// Reads the files.
    ///
    /// - Parameter batches: Which of CIFAR-10's training files to read.
    /// - Throws: ``DataError`` naming the file, what was expected and found, and where the data set comes from.
    public func load(from folder: URL? = nil, batches: [Int] = [1, 2, 3, 4, 5]) throws(DataError) -> ImageCorpus {
        guard let folder = folder ?? self.folder.map({ URL(fileURLWithPath: $0, isDirectory: true) }) else {
            throw DataError(.missing, "data set \(name): no folder was given. \(remedy)")
        }
        switch format {
        case .idx:
            return try ImageCorpus(
                name: name, training: idx(folder, "train", "training"), test: idx(folder, "t10k", "test"))
        case .cifar10:
            return try ImageCorpus(
                name: name, training: cifar(folder, batches.map { "data_batch_\($0).bin" }, 1, classNames, "training"),
                test: cifar(folder, ["test_batch.bin"], 1, classNames, "test"))
        case .cifar100:
            let names = fineNames(folder)
            return try ImageCorpus(
                name: name, training: cifar(folder, ["train.bin"], 2, names, "training"),
                test: cifar(folder, ["test.bin"], 2, names, "test"))
        }
    }

    private func find(_ file: String, in folder: URL) throws(DataError) -> URL {
        if let url = CompressedFile.find(file, in: folder) { return url }
        throw DataError(
            .missing, "no such file, with or without .gz. \(remedy)", file: folder.appendingPathComponent(file).path)
    }

    private func idx(_ folder: URL, _ prefix: String, _ part: String) throws(DataError) -> ImageSet {
        let imageFile = try find("\(prefix)-images-idx3-ubyte", in: folder)
        let labelFile = try find("\(prefix)-labels-idx1-ubyte", in: folder)
        let images = try IDX.images(imageFile)
        let labels = try IDX.labels(labelFile)
        guard images.count == labels.count else {
            throw DataError(
                .mismatch,
                "holds \(labels.count) labels, but \(imageFile.lastPathComponent) holds \(images.count) images",
                file: labelFile.path)
        }
        try ImageSet.checkLabels(labels, classes: classNames.count, file: labelFile.path)
        return try ImageSet(
            name: "\(name) (\(part))", height: images.height, width: images.width, channels: 1, pixels: images.pixels,
            labels: labels, classNames: classNames)
    }

    private func cifar(
        _ folder: URL, _ files: [String], _ labelBytes: Int, _ classes: [String], _ part: String
    ) throws(DataError) -> ImageSet {
        var pixels: [UInt8] = []
        var labels: [Int32] = []
        for file in files {
            let read = try CIFAR.read(find(file, in: folder), labelBytes: labelBytes, classes: classes.count)
            pixels += read.pixels
            labels += read.labels
        }
        return try ImageSet(
            name: "\(name) (\(part))", height: CIFAR.side, width: CIFAR.side, channels: 3, pixels: pixels,
            labels: labels, classNames: classes)
    }

    /// CIFAR-100 comes with a file of its class names; without it the classes are numbered.
    private func fineNames(_ folder: URL) -> [String] {
        let url = folder.appendingPathComponent("fine_label_names.txt")
        let names = (try? String(contentsOf: url, encoding: .utf8))?.split(whereSeparator: \.isNewline).map(String.init)
        return names.flatMap { $0.count == 100 ? $0 : nil } ?? (0..<100).map { "class \($0)" }
    }
}
