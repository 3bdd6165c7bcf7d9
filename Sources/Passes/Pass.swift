public import IR

/// A named, pure function from graphs to graphs that keeps their meaning.
///
/// A pass is a constant in a file of its own. Running it twice changes nothing more than running it once.
public struct Pass: Sendable {
    /// In lower case with hyphens, as in `fold-batch-norm`; also the folder of the pass's golden graphs.
    public let name: String
    private let transform: @Sendable (Graph) throws(PassError) -> Graph

    public init(_ name: String, _ transform: @escaping @Sendable (Graph) throws(PassError) -> Graph) {
        self.name = name
        self.transform = transform
    }

    /// The graph after the pass, not verified.
    ///
    /// - Throws: ``PassError`` naming this pass.
    public func callAsFunction(_ graph: Graph) throws(PassError) -> Graph {
        do throws(PassError) {
            return try transform(graph)
        } catch {
            throw PassError(error.message, pass: error.pass ?? name)
        }
    }
}

/// A graph that a pass could not rewrite, or broke.
public struct PassError: Error, Hashable, Sendable, CustomStringConvertible {
    public var message: String
    /// The pass, once known.
    public var pass: String?

    public init(_ message: String, pass: String? = nil) {
        self.message = message
        self.pass = pass
    }

    /// A rewrite's result did not type-check.
    public init(_ error: ShapeError) { self.init(error.description) }

    public var description: String { pass.map { "pass \($0): \(message)" } ?? message }
}

/// Passes in the order in which they run.
public struct Pipeline: Sendable {
    public var passes: [Pass]
    /// What the graph must be legal for after the last pass; between passes, and before the first, training will do.
    public var stage: Stage

    public init(_ passes: [Pass], stage: Stage = .training) {
        self.passes = passes
        self.stage = stage
    }

    /// Runs every pass and verifies the graph after each.
    ///
    /// - Parameter observe: called with the name of each pass and the graph after it.
    /// - Throws: ``PassError`` naming the pass that failed or whose result is not legal.
    public func run(_ graph: Graph, observe: (String, Graph) -> Void = { _, _ in }) throws(PassError) -> Graph {
        try verify(graph, .training, after: nil)
        var graph = graph
        for (index, pass) in passes.enumerated() {
            graph = try pass(graph)
            try verify(graph, index == passes.count - 1 ? stage : .training, after: pass.name)
            observe(pass.name, graph)
        }
        if passes.isEmpty { try verify(graph, stage, after: nil) }
        return graph
    }

    private func verify(_ graph: Graph, _ stage: Stage, after pass: String?) throws(PassError) {
        do throws(VerificationError) {
            try graph.verify(stage)
        } catch {
            let before = "the graph is not legal before the first pass: \(error.description)"
            throw PassError(pass == nil ? before : "made a graph that is not legal: \(error.description)", pass: pass)
        }
    }
}

extension Graph {
    /// The graph after one pass, verified.
    ///
    /// - Throws: ``PassError`` when the pass fails or its result is not legal.
    public func applying(_ passes: Pass..., stage: Stage = .training) throws(PassError) -> Graph {
        try Pipeline(passes, stage: stage).run(self)
    }
}
