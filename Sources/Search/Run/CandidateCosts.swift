import CodeGeneration
import Hardware
import IR
import Operators
import Passes
import Spaces
import Synchronization

/// What architectures cost without training or timing them, all read off their graphs and remembered.
final class CandidateCosts: Sendable {
    struct Figures: Sendable {
        var macs: Double
        var weightBytes: Double
        /// Bytes that operators read and write.
        var traffic: Double
        /// What the latency model sees; see ``CandidateCosts/features(of:)``.
        var features: [Double]
    }

    let supernet: Supernet
    private let known = Mutex<[Architecture: Figures]>([:])
    private let layouts = Mutex<[Architecture: Layout]>([:])

    /// What the C text of an architecture says about its needs, before anything is compiled. In bytes.
    private struct Layout {
        var arena, weights, source: Int
    }

    private let target: Target

    init(_ space: SearchSpace, target: Target) { (supernet, self.target) = (.standalone(space), target) }

    func figures(_ architecture: Architecture) throws -> Figures {
        if let figures = known.withLock({ $0[architecture] }) { return figures }
        let network = try supernet.build(architecture, batch: 1, .inference)
        let weights = network.parameters.filter { $0.role == .weight }.reduce(0) { $0 + $1.shape.reduce(1, *) }
        let features = try Self.features(of: network.graph)
        let graph = network.graph
        let traffic = graph.nodes.reduce(0) { sum, node in
            node.operands.isEmpty
                ? sum : (node.operands + node.results).reduce(sum) { $0 + graph.type(of: $1).byteCount }
        }
        let figures = Figures(
            macs: features.macs, weightBytes: Double(4 * weights), traffic: Double(traffic), features: features.values)
        known.withLock { $0[architecture] = figures }
        return figures
    }

    /// Bytes of the arena of the generated C.
    func arena(_ architecture: Architecture) throws -> Double { Double(try layout(architecture).arena) }

    /// Bytes of flash memory, not compiled: the weights as they are packed, and `codeRatio` bytes of code and constants
    /// for each byte of C.
    func estimatedFlash(_ architecture: Architecture, codeRatio: Double) throws -> Double {
        let layout = try layout(architecture)
        return Double(layout.weights) + codeRatio * Double(layout.source)
    }

    /// Bytes of code and constants beside the weights for each byte of C, as the target's compiler makes them.
    func codeRatio(_ architecture: Architecture, _ builder: Builder) throws -> Double {
        let program = try program(architecture)
        let size = try builder.size(of: SourceProgram(program))
        return Double(size.flash - program.weightBytes) / Double(program.sourceBytes)
    }

    private func layout(_ architecture: Architecture) throws -> Layout {
        if let known = layouts.withLock({ $0[architecture] }) { return known }
        let program = try program(architecture)
        let layout = Layout(arena: program.arenaBytes, weights: program.weightBytes, source: program.sourceBytes)
        layouts.withLock { $0[architecture] = layout }
        return layout
    }

    /// The C of an architecture with random weights: latency and memory depend on shapes alone.
    func program(_ architecture: Architecture) throws -> CProgram {
        let network = try supernet.build(architecture, batch: 1, .inference)
        var random = RandomSource(seed: 1)
        var values: [String: Literal] = [:]
        for parameter in network.parameters {
            let count = parameter.shape.reduce(1, *)
            let numbers =
                parameter.shape.count > 1
                ? (0..<count).map { _ in Float(random.uniform(in: -0.1..<0.1)) } : [Float](repeating: 1, count: count)
            values[parameter.name] = Literal(numbers, shape: parameter.shape)
        }
        let graph = try target.deployed(network.graph, parameters: values)
        return try CProgram(graph, options: COptions(name: "candidate"))
    }

    /// Work by kind, as latency depends on it: what a kernel of each kind does per unit differs, much less within a kind.
    ///
    /// Multiply-accumulates of pointwise, of depthwise (by size) and of dense convolutions, elements of other operators,
    /// bytes of weights, and the number of layers.
    private static func features(of graph: Graph) throws -> (values: [Double], macs: Double) {
        var values = [Double](repeating: 0, count: 9)
        var total = 0.0
        for node in graph.nodes {
            let types = graph.types(of: node.operands)
            let result = graph.type(of: node.results[0])
            let macs = Double(try node.macs(in: graph))
            total += macs
            switch node.op {
            case is Parameter: values[7] += Double(result.byteCount)
            case let conv as Conv2D:
                let kernel = types[1].shape[2]
                let isDepthwise = conv.groups > 1 && conv.groups == types[0].shape[1]
                values[isDepthwise ? min(2 + kernel / 2, 5) - 1 : kernel == 1 ? 0 : 1] += macs
                values[8] += 1
            case is BatchNormInference, is Constant: break
            case is HardSwish, is Silu, is HardSigmoid: values[5] += Double(result.count)
            default: values[6] += Double(result.count)
            }
        }
        return (values, total)
    }
}
