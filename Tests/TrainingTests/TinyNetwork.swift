import IR
import Operators
import Training

/// A little convolutional network for 6x6 images of one channel and 3 classes, and images it can learn.
enum TinyNetwork {
    static func graph(batch: Int, branch: String = "a", dropout: Double = 0) throws -> Graph {
        var g = GraphBuilder(name: "tiny")
        let x = g.input("images", .f32(batch, 1, 6, 6))
        var y = try g.append(
            Conv2D(padding: [1, 1, 1, 1]), x, g.parameter("stem.filter", .f32(4, 1, 3, 3)), name: "stem")
        y = try norm(&g, y, "stem.norm", 4)
        y = try g.append(Relu(), y)
        let filter = g.parameter("\(branch).filter", .f32(4, 4, 3, 3))
        y = try g.append(Conv2D(padding: [1, 1, 1, 1]), y, filter, name: branch)
        y = try g.append(Relu(), norm(&g, y, "\(branch).norm", 4))
        y = try g.append(ReduceMean(axes: [2, 3], keepsDimensions: false), y)
        if dropout > 0 { y = try g.append(Dropout(rate: dropout, site: 0), y, g.input("key", TensorType(.u32, [2]))) }
        let logits = try g.append(
            Linear(), y, g.parameter("head.weight", .f32(3, 4)), g.parameter("head.bias", .f32(3)), name: "head")
        return g.finish(outputs: [logits], names: ["logits"])
    }

    private static func norm(_ g: inout GraphBuilder, _ x: Value, _ name: String, _ channels: Int) throws -> Value {
        let scale = g.parameter("\(name).scale", .f32(channels))
        let bias = g.parameter("\(name).bias", .f32(channels))
        return try g.appendAll(BatchNorm(), [x, scale, bias], name: name)[0]
    }

    /// Bright rows, columns or a checkerboard, with noise.
    static func splits(_ count: Int, validation: Int = 0, seed: UInt64 = 1) throws -> DataSplits {
        func images(_ count: Int, _ random: RandomSource) throws -> ImageSet {
            var random = random
            var pixels: [UInt8] = []
            for index in 0..<count {
                for y in 0..<6 {
                    for x in 0..<6 {
                        let bright = [y % 2, x % 2, (x + y) % 2][index % 3]
                        pixels.append(UInt8(60 + 90 * bright + random.integer(below: 60)))
                    }
                }
            }
            return try ImageSet(
                name: "patterns", height: 6, width: 6, channels: 1, pixels: pixels,
                labels: (0..<count).map { Int32($0 % 3) }, classNames: ["rows", "columns", "checks"])
        }
        let random = RandomSource(seed: seed)
        let corpus = try ImageCorpus(
            name: "patterns", training: images(count, random.fork("training")), test: images(30, random.fork("test")))
        return try DataSplits(corpus, validation: validation, random: random)
    }
}
