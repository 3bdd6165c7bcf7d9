/// A C function of literal sizes that several steps of a program may share.
protocol MicroKernel: Hashable, Sendable {
    /// The C identifier; equal kernels have equal names.
    var name: String { get }
    /// The definition.
    func source(_ unit: VectorUnit) -> String
}

/// The kernels a program needs, each once, in order of first use.
struct KernelLibrary {
    private var names: Set<String> = []
    private(set) var kernels: [(name: String, source: String)] = []
    let unit: VectorUnit

    init(_ unit: VectorUnit) { self.unit = unit }

    /// The name of the kernel, whose definition is added at the first use.
    mutating func use(_ kernel: some MicroKernel) -> String {
        let name = kernel.name
        if names.insert(name).inserted { kernels.append((name, kernel.source(unit))) }
        return name
    }
}

/// Packed weights: one run of floats, every block at a multiple of a cache line, in the order of use.
struct WeightBlob {
    private(set) var floats: [Float] = []

    /// Appends a block and returns its offset.
    mutating func append(_ block: [Float]) -> Int {
        let offset = floats.count
        floats.append(contentsOf: block)
        floats.append(contentsOf: repeatElement(0, count: (16 - floats.count % 16) % 16))
        return offset
    }
}
