public import CodeGeneration
public import IR
public import Passes

extension VectorUnit {
    static let registerTiles = "register-tiles", winograd = "winograd"

    /// What a schedule can be made without, to see what it brings: its optional passes, Winograd's transforms, and tiles
    /// that use all vector registers.
    public static let ablations = ["chain-convolutions", "fuse-blocks", "join-convolutions", winograd, registerTiles]
}

extension Target {
    /// What the fast kernels must know of the target; `nil` where it has too few registers for them.
    public var vectorUnit: VectorUnit? {
        guard vector.registers >= 8 else { return nil }
        // The largest width that the kernels are written for; single floats where there are no vectors.
        let lanes = [16, 8, 4].first { $0 <= vector.floats } ?? 1
        var unit = VectorUnit(lanes: lanes, registers: min(vector.registers, 32))
        // No cache makes rows cheap to keep there, and memory is dear.
        if family == .cortexM { unit.l2 = 32 << 10 }
        if let caches {
            if caches.l1Data > 0 { unit.l1 = caches.l1Data }
            if caches.l2 > 0 { unit.l2 = min(caches.l2, 2 << 20) }
        }
        return unit
    }

    /// The graph made ready to be written as C for this target, with the schedules of its fast kernels.
    ///
    /// - Parameters:
    ///   - exact: whether convolutions are plain sums, without transforms that round differently.
    ///   - portable: whether every operator keeps its portable body.
    ///   - threads: how many shares the steps of fast kernels have.
    ///   - without: names among ``VectorUnit/ablations`` that are left out.
    /// - Throws: ``PassError`` naming the pass that failed.
    public func deployed(
        _ graph: Graph, parameters: [String: Literal] = [:], exact: Bool = false, portable: Bool = false,
        threads: Int = 1, without: Set<String> = []
    ) throws(PassError) -> Graph {
        let deployed = try Pipeline.deployment(parameters: parameters).run(graph)
        guard !portable, var vectorUnit else { return deployed }
        vectorUnit.threads = threads
        if without.contains(VectorUnit.registerTiles) { vectorUnit.registers = 8 }
        // Winograd's transforms store up to four times the weights, and flash is what microcontrollers have least of.
        let direct = exact || family == .cortexM || without.contains(VectorUnit.winograd)
        var pipeline = Pipeline.schedule(for: vectorUnit, exact: direct)
        pipeline.passes.removeAll { without.contains($0.name) }
        return try pipeline.run(deployed)
    }
}
