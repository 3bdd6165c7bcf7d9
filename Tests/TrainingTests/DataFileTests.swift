import CZlib
import Foundation
import Testing
import Training

@Suite struct DataFileTests {
    static func idx(_ magic: Int, _ sizes: [Int], _ body: [UInt8]) -> [UInt8] {
        func word(_ x: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: x >> $0) } }
        return word(magic) + sizes.flatMap(word) + body
    }

    /// A complete little data set of 4 training and 2 test images, 2x3 pixels.
    static func write(to folder: TemporaryFolder) throws {
        for (prefix, count) in [("train", 4), ("t10k", 2)] {
            let pixels = (0..<count * 6).map { UInt8($0 * 7 % 256) }
            try folder.write("\(prefix)-images-idx3-ubyte", idx(0x803, [count, 2, 3], pixels))
            try folder.write("\(prefix)-labels-idx1-ubyte", idx(0x801, [count], (0..<count).map { UInt8($0 + 5) }))
        }
    }

    static func gzip(_ bytes: [UInt8], to path: String) throws {
        let file = try #require(gzopen(path, "wb"))
        #expect(gzwrite(file, bytes, UInt32(bytes.count)) == Int32(bytes.count))
        #expect(gzclose(file) == Z_OK)
    }

    @Test func readsIDX() throws {
        let folder = try TemporaryFolder()
        try Self.write(to: folder)
        let corpus = try KnownCorpus.fashionMNIST.load(from: folder.url)
        #expect(corpus.training.count == 4)
        #expect((corpus.test.height, corpus.test.width, corpus.test.channels) == (2, 3, 1))
        #expect(corpus.training.labels == [5, 6, 7, 8])
        #expect(corpus.training.pixels == (0..<24).map { UInt8($0 * 7) })
        #expect(corpus.training.classNames[9] == "ankle boot")
    }

    @Test func readsCompressedIDX() throws {
        let folder = try TemporaryFolder()
        try Self.write(to: folder)
        let plain = try KnownCorpus.mnist.load(from: folder.url)
        for name in ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
            let bytes = [UInt8](try Data(contentsOf: folder.url.appendingPathComponent(name)))
            try FileManager.default.removeItem(atPath: folder.path(name))
            try Self.gzip(bytes, to: folder.path(name + ".gz"))
        }
        let compressed = try KnownCorpus.mnist.load(from: folder.url)
        #expect(compressed.training.pixels == plain.training.pixels)
        #expect(compressed.test.labels == plain.test.labels)
    }

    static func failure(_ body: () throws -> Void) -> DataError? {
        do { try body() } catch { return error as? DataError }
        return nil
    }

    @Test func missingFileNamesThePackage() throws {
        let folder = try TemporaryFolder()
        let error = Self.failure { _ = try KnownCorpus.fashionMNIST.load(from: folder.url) }
        #expect(error?.code == .missing)
        #expect(
            error?.description
                == "\(folder.path("train-images-idx3-ubyte")): no such file, with or without .gz. Install Debian's "
                + "package dataset-fashion-mnist, or name the folder that holds the four IDX files.")
        #expect(
            Self.failure { _ = try KnownCorpus.cifar10.load() }?.message.hasPrefix("data set cifar10: no folder")
                == true)
        #expect(
            Self.failure { _ = try KnownCorpus.named("imagenet") }?.message
                == "unknown data set 'imagenet'; known: fashion-mnist, mnist, cifar10, cifar100.")
    }

    @Test(
        arguments: [
            (
                "train-images-idx3-ubyte", idx(0x803, [4, 2, 3], [1, 2, 3]), DataError.Code.truncated,
                "the header states 4x2x3, 40 bytes in all, found 19. Fetch it again."
            ),
            (
                "train-images-idx3-ubyte", [0, 0], .truncated,
                "an IDX file of images starts with 16 bytes, found 2 in all"
            ),
            (
                "train-labels-idx1-ubyte", idx(0x803, [1, 2, 3], [0, 0, 0, 0, 0, 0]), .wrongFormat,
                "expected the magic number 0x00000801 of IDX labels, found 0x00000803"
            ),
            ("train-labels-idx1-ubyte", idx(0x801, [4], [0, 1, 10, 3]), .badLabel, "label 2 is 10, expected 0 to 9"),
            (
                "train-labels-idx1-ubyte", idx(0x801, [3], [0, 1, 2]), .mismatch,
                "holds 3 labels, but train-images-idx3-ubyte holds 4 images"
            ),
            (
                "t10k-images-idx3-ubyte", idx(0x803, [0x7fff_ffff, 0x7fff_ffff, 0x7fff_ffff], []), .wrongFormat,
                "the header states the impossible size [2147483647, 2147483647, 2147483647]"
            ),
            (
                "t10k-labels-idx1-ubyte", idx(0x801, [2], [0, 1, 2]), .wrongFormat,
                "1 bytes follow the 10 that the header states"
            ),
        ] as [(String, [UInt8], DataError.Code, String)])
    func damagedIDXIsRefused(_ name: String, _ bytes: [UInt8], _ code: DataError.Code, _ message: String) throws {
        let folder = try TemporaryFolder()
        try Self.write(to: folder)
        try folder.write(name, bytes)
        let error = Self.failure { _ = try KnownCorpus.fashionMNIST.load(from: folder.url) }
        #expect(error == DataError(code, message, file: folder.path(name)))
    }

    @Test func cutShortCompressedFileIsRefused() throws {
        let folder = try TemporaryFolder()
        try Self.write(to: folder)
        let name = "train-images-idx3-ubyte"
        var random = SystemRandomNumberGenerator()  // incompressible, so that half of the file is half of the data
        let pixels = (0..<24).map { _ in UInt8.random(in: 0...255, using: &random) }
        try Self.gzip(Self.idx(0x803, [4, 2, 3], pixels), to: folder.path(name + ".gz"))
        try FileManager.default.removeItem(atPath: folder.path(name))
        let whole = [UInt8](try Data(contentsOf: folder.url.appendingPathComponent(name + ".gz")))
        try folder.write(name + ".gz", Array(whole.prefix(whole.count - 12)))
        let error = Self.failure { _ = try KnownCorpus.fashionMNIST.load(from: folder.url) }
        #expect(error?.code == .truncated)
        #expect(error?.file == folder.path(name + ".gz"))
    }

    @Test func readsCIFAR() throws {
        let folder = try TemporaryFolder()
        func record(_ labels: [UInt8], _ seed: Int) -> [UInt8] {
            labels + (0..<3072).map { UInt8(truncatingIfNeeded: $0 * 31 + seed) }
        }
        try folder.write("data_batch_1.bin", record([3], 0) + record([9], 1))
        try folder.write("data_batch_2.bin", record([1], 2))
        try folder.write("test_batch.bin", record([0], 3))
        let corpus = try KnownCorpus.cifar10.load(from: folder.url, batches: [1, 2])
        #expect(corpus.training.labels == [3, 9, 1])
        #expect(corpus.training.classNames[9] == "truck")
        for (image, y, x, c) in [(0, 0, 0, 0), (1, 5, 7, 1), (2, 31, 31, 2)] {
            let expected = UInt8(truncatingIfNeeded: (c * 1024 + y * 32 + x) * 31 + image)
            #expect(corpus.training.pixels[((image * 32 + y) * 32 + x) * 3 + c] == expected)
        }
        let missing = Self.failure { _ = try KnownCorpus.cifar10.load(from: folder.url) }
        #expect(missing?.file == folder.path("data_batch_3.bin"))

        try folder.write("test_batch.bin", record([0], 3) + record([10], 4))
        let label = Self.failure { _ = try KnownCorpus.cifar10.load(from: folder.url, batches: [1]) }
        #expect(label == DataError(.badLabel, "label 1 is 10, expected 0 to 9", file: folder.path("test_batch.bin")))
        try folder.write("test_batch.bin", Array(record([0], 3).dropLast()))
        let short = Self.failure { _ = try KnownCorpus.cifar10.load(from: folder.url, batches: [1]) }
        #expect(
            short?.message
                == "expected records of 3073 bytes, found 3072 bytes: 0 records and 3072 bytes more. Fetch it again.")

        try folder.write("train.bin", record([19, 99], 5))
        try folder.write("test.bin", record([0, 7], 6))
        #expect(try KnownCorpus.cifar100.load(from: folder.url).training.labels == [99])
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/usr/share/datasets/fashion-mnist")))
    func fashionMNISTOfTheSystem() throws {
        let corpus = try KnownCorpus.fashionMNIST.load()
        #expect((corpus.training.count, corpus.test.count) == (60_000, 10_000))
        let constants = Normalization(of: corpus.training)
        #expect(abs(constants.mean[0] - 0.2860) < 1e-4)
        #expect(abs(constants.deviation[0] - 0.3530) < 1e-4)
    }
}
