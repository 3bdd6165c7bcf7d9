import Foundation
import IR

extension Shell {
    /// Writes a data set of the MNIST family, small enough for searches of seconds: a folder `images` with its four files.
    ///
    /// - Parameter testSeed: What the test images are drawn from; the training images are always the same.
    func writeImages(training: Int = 2400, test: Int = 100, testSeed: UInt64 = 2) throws {
        try FileManager.default.createDirectory(atPath: path("images"), withIntermediateDirectories: true)
        for (prefix, count, seed) in [("train", training, 1), ("t10k", test, testSeed)] as [(String, Int, UInt64)] {
            var random = RandomSource(seed: seed)
            var pixels: [UInt8] = [], labels: [UInt8] = []
            for index in 0..<count {
                // The class is the place of a bright square.
                let label = index % 10, (row, column) = (label / 4, label % 4)
                for y in 0..<28 {
                    for x in 0..<28 {
                        let isBright = y * 3 / 28 == row && x * 4 / 28 == column
                        pixels.append(UInt8((isBright ? 130 : 40) + random.integer(below: 80)))
                    }
                }
                labels.append(UInt8(label))
            }
            func header(_ magic: Int, _ sizes: [Int]) -> [UInt8] {
                ([magic] + sizes).flatMap {
                    [UInt8($0 >> 24), UInt8($0 >> 16 & 255), UInt8($0 >> 8 & 255), UInt8($0 & 255)]
                }
            }
            let (images, classes) = ("images/\(prefix)-images-idx3-ubyte", "images/\(prefix)-labels-idx1-ubyte")
            try Data(header(0x803, [count, 28, 28]) + pixels).write(to: URL(fileURLWithPath: path(images)))
            try Data(header(0x801, [count]) + labels).write(to: URL(fileURLWithPath: path(classes)))
        }
    }

    /// A search of seconds over the images of ``writeImages(training:test:testSeed:)``.
    static func search(into folder: String) -> [String] {
        [
            command.path, "search", "--space", "micro-125", "--data", "mnist", "--data-folder", "images", "--preset",
            "quick",
            "-o", folder,
        ]
    }
}
