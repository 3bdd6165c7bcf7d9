import IR
import Testing
import Training

@Suite struct BatchTests {
    /// Images whose pixels tell image, place and channel apart.
    static func images(_ count: Int, _ height: Int = 6, _ width: Int = 5, channels: Int = 3, classes: Int = 4) throws
        -> ImageSet
    {
        try ImageSet(
            name: "synthetic", height: height, width: width, channels: channels,
            pixels: (0..<count * height * width * channels).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ $0 / 90 * 11) },
            labels: (0..<count).map { Int32($0 % classes) }, classNames: (0..<classes).map { "c\($0)" })
    }

    static func splits(_ training: Int, validation: Int = 0, channels: Int = 3) throws -> DataSplits {
        let corpus = try ImageCorpus(
            name: "synthetic", training: images(training, channels: channels), test: images(7, channels: channels))
        return try DataSplits(corpus, validation: validation, random: RandomSource(seed: 1))
    }

    @Test(arguments: [Layout.plain, .channelsLast])
    func plainBatchIsNormalisedPixels(_ layout: Layout) throws {
        let split = try Self.splits(11).weights
        let loader = try BatchLoader(
            split, batchSize: 4, order: .sequential, layout: layout, random: RandomSource(seed: 2))
        #expect(loader.batchesPerEpoch == 3)
        let (images, constants) = (split.images, split.normalization)
        for step in 0..<3 {
            let batch = loader.batch(step)
            #expect(batch.count == (step == 2 ? 3 : 4))
            for row in 0..<batch.count {
                let index = Int(split.indices[step * 4 + row])
                #expect(batch.labels[row] == images.labels[index])
                for y in 0..<6 {
                    for x in 0..<5 {
                        for c in 0..<3 {
                            let byte = Double(images.pixels[((index * 6 + y) * 5 + x) * 3 + c])
                            let expected = Float((byte / 255 - constants.mean[c]) / constants.deviation[c])
                            let at =
                                layout == .plain ? ((row * 3 + c) * 6 + y) * 5 + x : ((row * 6 + y) * 5 + x) * 3 + c
                            #expect(batch.images[at] == expected)
                        }
                    }
                }
            }
            if step == 2 {
                #expect(batch.labels[3] == -1)
                #expect(batch.images[(3 * 90)...].allSatisfy { $0 == 0 })
                #expect(batch.targets[(3 * 4)...].allSatisfy { $0 == 0 })
            }
        }
    }

    @Test func epochsShuffleEveryImageOnce() throws {
        let split = try Self.splits(24).weights
        func order(_ seed: UInt64, prefetches: Bool) throws -> [[Int32]] {
            let loader = try BatchLoader(split, batchSize: 8, prefetches: prefetches, random: RandomSource(seed: seed))
            return (0..<6).map { Array(loader.batch($0).images.map { Int32(bitPattern: $0.bitPattern) }) }
        }
        let first = try order(3, prefetches: true)
        #expect(try order(3, prefetches: false) == first)
        #expect(try order(4, prefetches: true) != first)
        #expect(Array(first[0..<3].joined()) != Array(first[3..<6].joined()))
        #expect(first[0..<3].joined().sorted() == first[3..<6].joined().sorted())
    }

    @Test func batchesDependOnTheStepAlone() throws {
        let split = try Self.splits(24).weights
        let augmentation = Augmentation(cropPadding: 2, flip: true, cutout: 3, mixup: 0.5, labelSmoothing: 0.1)
        func make() throws -> BatchLoader<Split.Weights> {
            try BatchLoader(split, batchSize: 5, augmentation: augmentation, random: RandomSource(seed: 3))
        }
        let inOrder = try make()
        let expected = (0..<9).map { step in
            let b = inOrder.batch(step); return Array(b.images) + Array(b.targets)
        }
        let jumping = try make()
        for step in [8, 0, 1, 5, 4, 4, 7] {
            let batch = jumping.batch(step)
            #expect(Array(batch.images) + Array(batch.targets) == expected[step])
        }
    }

    @Test func cropMovesFlipMirrorsCutoutClears() throws {
        let images = try Self.images(40, 8, 8, channels: 1)
        let corpus = try ImageCorpus(name: "s", training: images, test: images)
        let split = try DataSplits(corpus, random: RandomSource(seed: 1)).weights
        let black = Float((0 - split.normalization.mean[0]) / split.normalization.deviation[0])
        func rows(_ augmentation: Augmentation) throws -> ([[Float]], [[Float]]) {
            let random = RandomSource(seed: 9)
            let plain = try BatchLoader(split, batchSize: 40, random: random).batch(0)
            let varied = try BatchLoader(split, batchSize: 40, augmentation: augmentation, random: random).batch(0)
            func images(_ b: Batch) -> [[Float]] { (0..<40).map { Array(b.images[$0 * 64..<($0 + 1) * 64]) } }
            return (images(plain), images(varied))
        }
        let (plain, flipped) = try rows(Augmentation(flip: true))
        var mirrored = 0
        for (a, b) in zip(plain, flipped) where a != b {
            mirrored += 1
            let mirror: [Float] = (0..<64).map { (i: Int) -> Float in a[i / 8 * 8 + 7 - i % 8] }
            #expect(b == mirror)
        }
        #expect((10...30).contains(mirrored))

        let (_, cropped) = try rows(Augmentation(cropPadding: 2))
        var offsets = Set<[Int]>()
        for (a, b) in zip(plain, cropped) {
            var matches: [[Int]] = []
            for dy in -2...2 {
                for dx in -2...2 {
                    let moved: [Float] = (0..<64).map { (i: Int) -> Float in
                        let (y, x) = (i / 8 + dy, i % 8 + dx)
                        return (0..<8).contains(y) && (0..<8).contains(x) ? a[y * 8 + x] : black
                    }
                    if moved == b { matches.append([dy, dx]) }
                }
            }
            #expect(!matches.isEmpty)
            offsets.formUnion(matches)
        }
        #expect(offsets.count > 12)

        let (_, cut) = try rows(Augmentation(cutout: 4))
        for (a, b) in zip(plain, cut) {
            let cleared = zip(a, b).filter { $0 != $1 }.count
            #expect(cleared >= 3 && cleared <= 16)
            #expect(zip(a, b).allSatisfy { $0 == $1 || $1 == 0 })
        }
    }

    @Test func mixupMixesImagesAndTargetsAlike() throws {
        let split = try Self.splits(16).weights
        let random = RandomSource(seed: 4)
        let plain = try BatchLoader(split, batchSize: 16, random: random).batch(0)
        let mixed = try BatchLoader(split, batchSize: 16, augmentation: Augmentation(mixup: 1), random: random).batch(0)
        var weights = Set<Float>()
        for row in 0..<16 {
            let target = Array(mixed.targets[row * 4..<row * 4 + 4])
            #expect(abs(target.reduce(0, +) - 1) < 1e-6)
            let own = target[Int(plain.labels[row])]
            if own < 1 { weights.insert(own) }
            let image = mixed.images[row * 90..<row * 90 + 90]
            let found = (0..<16).contains { partner in
                zip(image, 0..<90).allSatisfy { value, i in
                    abs(value - (own * plain.images[row * 90 + i] + (1 - own) * plain.images[partner * 90 + i])) < 1e-5
                }
            }
            #expect(found || own == 1)
        }
        #expect(weights.count == 1)
    }

    @Test func smoothedTargets() throws {
        let split = try Self.splits(8).weights
        let batch = try BatchLoader(
            split, batchSize: 8, augmentation: Augmentation(labelSmoothing: 0.2), random: RandomSource(seed: 4)
        ).batch(0)
        for row in 0..<8 {
            for c in 0..<4 {
                #expect(abs(batch.targets[row * 4 + c] - (c == Int(batch.labels[row]) ? 0.85 : 0.05)) < 1e-6)
            }
        }
    }

    @Test func splitsAreDisjointAndStratified() throws {
        let corpus = try ImageCorpus(name: "s", training: Self.images(100), test: Self.images(10))
        let splits = try DataSplits(
            corpus, weights: 40, architecture: 20, validation: 12, random: RandomSource(seed: 5))
        let parts = [splits.weights.indices, splits.architecture.indices, splits.validation.indices]
        #expect(parts.map(\.count) == [40, 20, 12])
        #expect(Set(parts.joined()).count == 72)
        for part in parts {
            for label in 0..<4 {
                let members = part.filter { Int($0) % 4 == label }.count
                #expect(abs(members - part.count / 4) <= 1)
            }
        }
        #expect(splits.test.images.count == 10)
        #expect(Set(splits.retraining.indices) == Set(parts[0] + parts[1]))
        #expect(throws: DataError.self) { try DataSplits(corpus, validation: 100, random: RandomSource(seed: 5)) }
        #expect(throws: DataError.self) {
            try BatchLoader(splits.validation, batchSize: 13, random: RandomSource(seed: 1))
        }
    }

    @Test func resizingAndFraming() throws {
        let pixels: [UInt8] = [0, 100, 50, 60, 200, 40, 70, 80]  // 2x4
        let images = try ImageSet(
            name: "s", height: 2, width: 4, channels: 1, pixels: pixels, labels: [0], classNames: ["a"])
        #expect(images.resized(height: 1, width: 2).pixels == [85, 65])
        #expect(images.resized(height: 2, width: 8).pixels.prefix(8) == [0, 25, 75, 88, 63, 53, 58, 60])
        #expect(images.framed(height: 4, width: 4).pixels == [0, 0, 0, 0] + pixels + [0, 0, 0, 0])
        #expect(images.framed(height: 2, width: 2).pixels == [100, 50, 40, 70])
        let row = try ImageSet(
            name: "s", height: 1, width: 4, channels: 1, pixels: [8, 20, 30, 42], labels: [0], classNames: ["a"])
        #expect(row.resized(height: 1, width: 3).pixels == [11, 25, 39])
    }

    @Test func normalizationGivesUnitMoments() throws {
        let images = try Self.images(50)
        let constants = Normalization(of: images)
        for c in 0..<3 {
            let values = stride(from: c, to: images.pixels.count, by: 3).map {
                (Double(images.pixels[$0]) / 255 - constants.mean[c]) / constants.deviation[c]
            }
            let mean = values.reduce(0, +) / Double(values.count)
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
            #expect(abs(mean) < 1e-9)
            #expect(abs(variance - 1) < 1e-9)
        }
    }
}
