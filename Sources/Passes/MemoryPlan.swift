public import IR

/// Where every value of a graph lies while the graph runs, and how much memory that takes.
///
/// Live ranges are exact for the order of the nodes. Results take over the memory of a dying operand where the operator
/// allows it, views lie in what they view, and the parts of a concatenation may be made in place.
public struct MemoryPlan: Sendable {
    /// A position in somebody's memory.
    public struct Place: Hashable, Sendable {
        public var base: Base
        public var offset: Int

        public init(base: Base, offset: Int) {
            self.base = base
            self.offset = offset
        }
    }

    /// Whose memory.
    public enum Base: Hashable, Sendable {
        /// That of an input, a parameter or a constant: the value which the caller keeps.
        case external(Value)
        /// That of the output with this index, handed in by the caller.
        case output(Int)
        case arena
    }

    public struct Options: Sendable {
        /// Alignment in bytes of everything in the arena, and of the views that are taken.
        public var alignment = 64
        /// Whether outputs stay in the arena after the run; otherwise the caller hands in memory for them.
        public var outputsInArena = false
        public var allowsInPlace = true
        /// Whether parts of a concatenation may be made inside the result.
        public var placesConcatenations = true
        /// Whether a contiguous part of a value may be a view.
        public var viewsParts = true
        public var effort = Effort.thorough

        public init(outputsInArena: Bool = false, effort: Effort = .thorough) {
            self.outputsInArena = outputsInArena
            self.effort = effort
        }
    }

    public enum Effort: Sendable {
        /// For graphs that run once: near-linear.
        case quick
        /// For graphs that are kept: several orders of placement, the best one taken.
        case thorough
    }

    /// A stretch of the arena that is in use from one step to another, both included.
    public struct Buffer: Hashable, Sendable {
        /// The values that lie in it, in order of definition; none for scratch memory.
        public var values: [Value]
        public var offset: Int
        public var bytes: Int
        public var steps: ClosedRange<Int>
    }

    /// The place of each value, by identity.
    public let places: [Place]
    /// The offset in the arena of each node's scratch memory; `nil` where there is none.
    public let scratch: [Int?]
    /// Outputs that no node can write where the caller wants them: an input handed through, a value returned twice, a
    /// part of a larger buffer. They are to be copied from their value's place at the end.
    public let copiedOutputs: [Int]
    public let arenaBytes: Int
    public let alignment: Int
    /// The largest sum of live bytes (scratch memory included) at any node: no plan of these buffers is smaller.
    public let lowerBound: Int
    /// Live bytes of the arena at each node.
    public let liveBytes: [Int]
    /// Everything in the arena, by offset and then first step.
    public let buffers: [Buffer]

    /// The node with the most live bytes; `nil` for a graph without nodes.
    public var peakNode: Int? { liveBytes.indices.max { liveBytes[$0] < liveBytes[$1] } }

    /// - Parameter scratchBytes: the scratch memory that a node needs.
    public init(
        _ graph: Graph, options: Options = Options(), scratchBytes: (Int, Node) -> Int = { _, _ in 0 }
    ) {
        let scratch = graph.nodes.enumerated().map { scratchBytes($0, $1) }
        let layouts = options.variants(for: graph).map { BufferLayout(graph, $0) }
        let peaks = layouts.map { $0.liveBytes(graph, scratch, options).max() ?? 0 }
        var layout = layouts[peaks.indices.min { (peaks[$0], $0) < (peaks[$1], $1) } ?? 0]
        var items = layout.items(graph, options)
        let values = items.count
        var owners: [Int] = []
        for (node, bytes) in scratch.enumerated() where bytes > 0 {
            items.append(Placement.Item(bytes: Self.align(bytes, options.alignment), first: node, last: node))
            owners.append(node)
        }
        liveBytes = layout.liveBytes(graph, scratch, options)
        lowerBound = liveBytes.max() ?? 0
        alignment = options.alignment
        let placement = Placement.best(items, bound: lowerBound, effort: options.effort)
        arenaBytes = placement.bytes
        for (index, root) in layout.arenaRoots.enumerated() { layout.address[root] = placement.offsets[index] }

        var scratchOffsets = [Int?](repeating: nil, count: graph.nodes.count)
        for (index, node) in owners.enumerated() { scratchOffsets[node] = placement.offsets[values + index] }
        self.scratch = scratchOffsets
        places = (0..<graph.valueCount).map { layout.place(of: $0) }
        copiedOutputs = layout.copiedOutputs
        buffers = layout.buffers(items, placement.offsets)
    }

    static func align(_ bytes: Int, _ alignment: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }
}

extension MemoryPlan.Options {
    /// These options with each choice of what shares memory that makes a difference for the graph; the best is taken.
    ///
    /// A view keeps all of what it is a part of alive, a part of a concatenation that is made in place all of the result,
    /// from its own birth on: that usually pays, but not always.
    func variants(for graph: Graph) -> [Self] {
        var views = [false], places = [false]
        for node in graph.nodes where node.results.count == 1 {
            let operands = graph.types(of: node.operands), results = graph.types(of: node.results)
            if viewsParts, !views[0], node.op.viewOffset(operands, results) != nil,
                results[0].byteCount < operands[0].byteCount
            {
                views = [true, false]
            }
            if placesConcatenations, !places[0], node.op.placedOperands(operands, results) != nil {
                places = [true, false]
            }
        }
        return views.flatMap { viewsParts in
            places.map { placesConcatenations in
                var variant = self
                (variant.viewsParts, variant.placesConcatenations) = (viewsParts, placesConcatenations)
                return variant
            }
        }
    }
}
