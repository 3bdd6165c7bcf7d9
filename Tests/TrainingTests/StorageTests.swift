import Foundation
import IR
import Testing
@testable import Training

@Suite struct SafeTensorsTests {
    static let sample = SafeTensors(
        [
            NamedTensor("b.weight", Literal([1, -2.5, .infinity, 0], shape: [2, 2])),
            NamedTensor("a \"quoted\"\n", Literal([7, -8], element: .i64)),
            NamedTensor("empty", Literal(.f32, [0, 3], bytes: [])),
            NamedTensor("flag", Literal(.bool, [3], bytes: [1, 0, 1])),
        ], metadata: ["run": "x", "näme": "tab\t"])

    @Test func roundTrips() throws {
        let bytes = Self.sample.encoded()
        let read = try SafeTensors(decoding: bytes, file: "f")
        #expect(read == Self.sample)
        let length = Int(bytes[0]) + Int(bytes[1]) << 8
        #expect(length % 8 == 0)
        let header = try JSONSerialization.jsonObject(with: Data(bytes[8..<8 + length])) as? [String: Any]
        let entry = header?["b.weight"] as? [String: Any]
        #expect(entry?["dtype"] as? String == "F32")
        #expect(entry?["data_offsets"] as? [Int] == [0, 16])
    }

    static func file(_ header: String, _ data: [UInt8] = []) -> [UInt8] {
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8) + data
    }

    @Test(
        arguments: [
            ([1, 2], StorageError.Code.damaged, "a safetensors file starts with 8 bytes, found 2"),
            (
                [255, 255, 255, 255, 255, 255, 255, 255, 1], .damaged,
                "the header is said to take 18446744073709551615 bytes, but only 1 follow"
            ),
            (
                file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, [0, 0]), .damaged,
                "tensor \"a\" ends at 8, but the data hold 2 bytes: the file was cut short"
            ),
            (
                file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, [0, 0, 0, 0]), .damaged,
                "tensor \"a\" of shape [2] should lie at 0..<8, found 0..<4"
            ),
            (
                file(#"{"a":{"dtype":"F4","shape":[0],"data_offsets":[0,0]}}"#), .unsupported,
                "tensor \"a\" has the unknown type F4"
            ),
            (
                file(#"{"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,0]}}"#), .damaged,
                "tensor \"a\" has the impossible shape [4611686018427387904, 8]"
            ),
            (file("{}", [1]), .damaged, "1 bytes follow the last tensor"),
        ] as [([UInt8], StorageError.Code, String)])
    func damagedFilesAreRefused(_ bytes: [UInt8], _ code: StorageError.Code, _ message: String) {
        #expect(throws: StorageError(code, message, file: "w.safetensors")) {
            try SafeTensors(decoding: bytes, file: "w.safetensors")
        }
    }

    @Test func noMutationCrashes() {
        let whole = Self.sample.encoded()
        var random = RandomSource(seed: 1)
        for _ in 0..<3000 {
            var bytes = whole
            for _ in 0...random.integer(below: 4) {
                bytes[random.integer(below: bytes.count)] = UInt8(random.integer(below: 256))
            }
            if random.bernoulli(0.3) { bytes.removeLast(random.integer(below: bytes.count)) }
            if let read = try? SafeTensors(decoding: bytes, file: "f") { #expect(read.tensors.count <= 4) }
        }
    }
}

@Suite struct CheckpointTests {
    struct State: Codable, Equatable { var random: RandomSource; var losses: [Double] }

    static func checkpoint(_ step: Int) throws -> Checkpoint {
        var checkpoint = Checkpoint(step: step)
        checkpoint.tensors["weights"] = SafeTensors([NamedTensor("w", Literal((0..<500).map { Float($0 + step) }))])
        checkpoint.tensors["optimizer"] = SafeTensors([NamedTensor("w/momentum", Literal([Float(step)]))])
        try checkpoint.store(State(random: RandomSource(seed: UInt64(step)), losses: [1.5, 0.1]), as: "state")
        return checkpoint
    }

    @Test func savesLoadsAndKeepsTwo() throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder: folder.url.appendingPathComponent("checkpoints"))
        #expect(try store.latest() == nil)
        for step in [10, 200, 3000] { try store.save(Self.checkpoint(step)) }
        #expect(store.steps() == [3000, 200])
        let (latest, refused) = try #require(try store.latest())
        #expect(refused.isEmpty)
        #expect(latest.step == 3000)
        #expect(latest.tensors == (try Self.checkpoint(3000)).tensors)
        #expect(
            try latest.value(State.self, of: "state") == State(random: RandomSource(seed: 3000), losses: [1.5, 0.1]))
        #expect(throws: StorageError.self) { try latest.value(State.self, of: "search") }
        let names = try FileManager.default.contentsOfDirectory(atPath: store.folder.path)
        #expect(names.sorted() == ["step-0000000200", "step-0000003000"])
    }

    @Test(arguments: ["weights.safetensors", "state.json", "manifest.json"], ["flip", "cut", "remove"])
    func damagedCheckpointIsRefusedAndThePreviousUsed(_ name: String, _ damage: String) throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder: folder.url)
        for step in [1, 2] { try store.save(Self.checkpoint(step)) }
        let file = store.folder(ofStep: 2).appendingPathComponent(name)
        var bytes = [UInt8](try Data(contentsOf: file))
        switch damage {
        case "flip": bytes[bytes.count / 2] ^= 0x40
        case "cut": bytes.removeLast(bytes.count / 2)
        default: break
        }
        if damage == "remove" {
            try FileManager.default.removeItem(at: file)
        } else {
            try Data(bytes).write(to: file)
        }
        let (latest, refused) = try #require(try store.latest())
        #expect(latest.step == 1)
        #expect(refused.count == 1)
        // A flipped manifest may accuse the file it describes instead.
        #expect(name == "manifest.json" || refused[0].file == file.path)
        try FileManager.default.removeItem(at: store.folder(ofStep: 1).appendingPathComponent("manifest.json"))
        #expect(throws: StorageError.self) { try store.latest() }
    }

    @Test func fullDiskIsNamedAndLeavesTheOldCheckpoint() throws {
        let folder = try TemporaryFolder()
        try CheckpointStore(folder: folder.url).save(Self.checkpoint(1))
        let full = CheckpointStore(folder: folder.url) { bytes, path throws(StorageError) in
            // The device that is always full stands for the disk under the second file.
            try FileWriting.write(bytes, to: path.hasSuffix("weights.safetensors") ? "/dev/full" : path)
        }
        var error: StorageError?
        do { try full.save(Self.checkpoint(2)) } catch let caught { error = caught as? StorageError }
        #expect(error?.code == .diskFull)
        #expect(
            error?.message
                == "0 of 2072 bytes were written: no room is left on the disk. The checkpoint of step 2 was not "
                + "saved. The checkpoint of step 1 is intact.")
        #expect(try full.latest()?.checkpoint.tensors == Self.checkpoint(1).tensors)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["step-0000000001"])
    }

    @Test func leftoversOfAKilledProcessAreNoCheckpoints() throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder: folder.url)
        try store.save(Self.checkpoint(5))
        let files = FileManager.default
        try files.copyItem(at: store.folder(ofStep: 5), to: folder.url.appendingPathComponent(".partial-6-99"))
        // Killed while step 5 was being replaced by itself.
        try files.moveItem(at: store.folder(ofStep: 5), to: folder.url.appendingPathComponent(".replaced-5-99"))
        #expect(try store.latest()?.checkpoint.step == 5)
        #expect(try files.contentsOfDirectory(atPath: folder.url.path) == ["step-0000000005"])
        try store.save(Self.checkpoint(5))
        #expect(store.steps() == [5])
    }

    @Test func digestIsSHA256() {
        #expect(Digest(of: "").description == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(Digest(of: "abc").description == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        let long = String(repeating: "a", count: 1_000_000)
        #expect(Digest(of: long).description == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }
}
