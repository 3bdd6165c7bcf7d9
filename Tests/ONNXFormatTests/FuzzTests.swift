import ONNXFormat
import Testing

@Suite struct FuzzTests {
    /// A small generator with a fixed sequence (SplitMix64).
    private struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    /// Changes a few places of a file: bits, bytes of note, removed, doubled and foreign stretches, a cut-off end.
    private func mutate(_ source: [UInt8], _ other: [UInt8], _ random: inout Random) -> [UInt8] {
        var bytes = source
        for _ in 0..<(Bool.random(using: &random) ? 1 : 4) where !bytes.isEmpty {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            let end = min(bytes.count, at + Int.random(in: 1...16, using: &random))
            switch Int.random(in: 0..<7, using: &random) {
            case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[at] = [0, 1, 0x7f, 0x80, 0xff][Int.random(in: 0..<5, using: &random)]
            case 2: bytes.removeSubrange(at..<end)
            case 3: bytes.insert(contentsOf: bytes[at..<end], at: at)
            case 4: bytes.removeSubrange(at...)
            case 5:
                let from = Int.random(in: 0..<other.count, using: &random)
                bytes.insert(contentsOf: other[from..<min(other.count, from + 32)], at: at)
            default: bytes.insert(contentsOf: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], at: at)
            }
        }
        return bytes
    }

    @Test func tenThousandMutationsAreReadOrRefused() throws {
        let seeds = [
            try SampleModels.perceptron().serialized(), try SampleModels.everything().serialized(),
            SampleModels.functions().bytes,
        ]
        var random = Random(state: 17)
        var accepted = 0
        var refused = 0
        for round in 0..<10_000 {
            let other = seeds[Int.random(in: 0..<seeds.count, using: &random)]
            let bytes = mutate(seeds[round % seeds.count], other, &random)
            do throws(ONNXError) {
                let model = try ONNXModel(bytes: bytes).inliningFunctions()
                // What was accepted can be written and read again.
                let again = try ONNXModel(bytes: model.serialized())
                #expect(again.graph.nodes.count == model.graph.nodes.count)
                accepted += 1
            } catch {
                #expect(!error.cause.isEmpty)
                refused += 1
            }
        }
        // Both happen often, or the mutations test nothing.
        #expect(accepted > 500)
        #expect(refused > 2000)
    }
}
