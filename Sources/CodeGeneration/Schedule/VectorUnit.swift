/// What the kernels must know of the target: how wide its vectors are, how many there are, how large its caches.
public struct VectorUnit: Hashable, Sendable {
    /// Floats in one vector register: 4, 8 or 16; 1 where there are no vectors of floats.
    public var lanes: Int
    /// Architectural vector registers.
    public var registers: Int
    /// First-level data cache, bytes.
    public var l1: Int
    /// Second-level cache, bytes, as far as one core may count on it.
    public var l2: Int
    /// Threads that share each node's work.
    public var threads: Int

    public init(lanes: Int, registers: Int, l1: Int = 32 << 10, l2: Int = 1 << 20, threads: Int = 1) {
        self.lanes = lanes
        self.registers = registers
        self.l1 = l1
        self.l2 = l2
        self.threads = threads
    }

    public static let avx512 = VectorUnit(lanes: 16, registers: 32)
    public static let avx2 = VectorUnit(lanes: 8, registers: 16, l2: 512 << 10)
    public static let neon = VectorUnit(lanes: 4, registers: 32, l2: 512 << 10)

    var shares: Shares { Shares(count: threads) }

    /// What a load costs where a multiply-add costs 1: AVX-512 takes a broadcast as an operand of the multiply-add, the
    /// others spend an instruction and a load port on it.
    var loadCost: Double { lanes == 16 ? 0.75 : 1.2 }

    /// Whether loads take their own turns: processors without vectors start one instruction after the other.
    var loadsInTurn: Bool { lanes == 1 }

    /// Whether the kernels should leave out the upper half of a last vector that is empty: processors that work on 16 lanes
    /// in two passes need one for it.
    var halves: Bool { lanes == 16 }

    /// Whether the last vector of `channels` floats is at most half full, and that is worth knowing.
    func endsInHalf(_ channels: Int) -> Bool { halves && (1...lanes / 2).contains(channels % lanes) }

    /// Vectors that hold `channels` floats.
    func vectors(_ channels: Int) -> Int { (channels + lanes - 1) / lanes }

    /// Floats from one pixel to the next in a channels-last image.
    ///
    /// Whole vectors; and one more where pixels would lie a multiple of 2 KiB apart, because a tile of pixels would
    /// then fall into a few sets of the first-level cache.
    func pixelStride(_ channels: Int) -> Int {
        let floats = vectors(channels) * lanes
        return floats % 512 == 0 ? floats + lanes : floats
    }
}
