import CKernels
public import IR
import Operators
import Passes
import RealModule

/// A relaxed network with its loss, and gradients with respect to its weights and to its mixture weights.
///
/// It changes no parameter. What a step reports is valid until the next run.
public final class MixtureStep {
    /// What is differentiated; less costs less.
    public enum Derivatives: Hashable, Sendable {
        case none, weights, mixture, both

        var includesWeights: Bool { self == .weights || self == .both }
        var includesMixture: Bool { self == .mixture || self == .both }
    }

    public let graph: Graph
    /// Names of the inputs that weigh alternatives, in the order of the arrays that runs take.
    public let sites: [String]
    /// Loss gradients of the parameters that the loss depends on.
    public let weightGradients: [ParameterGradient]
    private let program: any GraphProgram
    private let mixtureOutputs: [Int?]
    private let store: ParameterStore
    private let backend: Backend
    private let inputs: MixtureInputs

    /// - Parameters:
    ///   - form: A training form with soft targets whose inputs named in `sites` weigh alternatives.
    /// - Throws: ``ShapeError`` for an operator without a gradient, or a parameter that the store lacks.
    public init(
        _ form: Graph, sites: [String], store: ParameterStore, backend: Backend, derivatives: Derivatives = .both
    ) throws {
        let graph =
            derivatives == .none
            ? form
            : try form.withParameterGradients(
                derivatives.includesWeights ? nil : [], inputs: derivatives.includesMixture ? Set(sites) : [])
        let program = try backend.program(graph, store: store)
        (self.graph, self.program, self.sites, self.store, self.backend) = (graph, program, sites, store, backend)
        var gradients: [ParameterGradient] = []
        var outputs: [String: Int] = [:]
        for (index, name) in graph.outputNames.enumerated() where name.hasPrefix(Graph.FormName.gradientPrefix) {
            let variable = String(name.dropFirst(Graph.FormName.gradientPrefix.count))
            if let tensor = store[variable] {
                gradients.append(ParameterGradient(tensor) { program.output(index) })
            } else {
                outputs[variable] = index
            }
        }
        weightGradients = gradients
        mixtureOutputs = sites.map { outputs[$0] }
        inputs = MixtureInputs(graph, sites: sites)
    }

    /// Operators of the step that the backend has no kernel for.
    public var slowOperators: [String] { program.slowOperators }

    /// The batch's mean loss.
    public var loss: Double { Double(program.output(0)[0]) }

    /// The gradient of the loss with respect to the mixture weights, by site.
    public var mixtureGradient: [[Double]] {
        zip(mixtureOutputs, sites).map { output, site in
            output.map { program.output($0).map(Double.init) }
                ?? [Double](repeating: 0, count: inputs.counts[site] ?? 0)
        }
    }

    /// Forward, and backward as far as was asked for.
    ///
    /// - Parameters:
    ///   - mixture: The weights of each site's alternatives.
    ///   - exampleWeights: Factors of the losses of the batch's examples; 1 where left out.
    ///   - random: Where the key of dropout's draws comes from.
    /// - Throws: ``ShapeError`` when batch or mixture do not fit the network.
    public func run(
        _ batch: Batch, mixture: [[Double]], exampleWeights: [Double]? = nil, random: RandomSource
    ) throws {
        try inputs.run(graph, program, batch, mixture, exampleWeights, random)
    }

    /// The cross-entropy of every example of the batch that was run.
    public func exampleLosses(_ batch: Batch) -> [Double] {
        let logits = program.output(1), classes = batch.classCount
        return (0..<batch.count).map { row in
            let scores = logits[(row * classes)..<((row + 1) * classes)].map(Double.init)
            let top = scores.max() ?? 0
            let normaliser = top + Double.log(scores.reduce(0) { $0 + Double.exp($1 - top) })
            return (0..<classes).reduce(0) {
                $0 - Double(batch.targets[row * classes + $1]) * (scores[$1] - normaliser)
            }
        }
    }

    /// The share of images of the batch whose largest logit is at their label.
    public func accuracy(_ batch: Batch) -> Double {
        let correct = martlet_data_correct(
            program.output(1).baseAddress, batch.labels.baseAddress, Int64(batch.count), Int64(batch.classCount))
        return Double(correct) / Double(max(batch.count, 1))
    }

    /// Which operator first made a value that is NaN or infinite on this batch; `nil` when none did.
    public func firstNonFinite(_ batch: Batch, mixture: [[Double]], random: RandomSource) throws -> String? {
        try graph.firstNonFinite(inputs.filled(batch, mixture, nil, random), store: store, backend: backend)
    }
}

/// The products of a relaxed network's second derivatives with a direction; see ``Graph/secondOrderProducts(inputs:)``.
public final class MixtureProducts {
    private let graph: Graph
    private let program: any GraphProgram
    private let inputs: MixtureInputs
    private let weights: [StoredTensor]
    private let sites: [String]
    private var outputs: [String: Int] = [:]
    private var directions: [String: UnsafeMutableBufferPointer<Float>] = [:]

    /// - Parameter weights: The parameters that a direction lists, in its order.
    public init(
        _ form: Graph, sites: [String], weights: [StoredTensor], store: ParameterStore, backend: Backend
    ) throws {
        graph = try form.secondOrderProducts(inputs: Set(sites))
        program = try backend.program(graph, store: store)
        inputs = MixtureInputs(graph, sites: sites)
        (self.weights, self.sites) = (weights, sites)
        for (index, name) in graph.outputNames.enumerated() { outputs[String(name.dropFirst(8))] = index }
        for tensor in weights { directions["direction." + tensor.name] = aligned(tensor.count, zero: 0) }
    }

    deinit { for buffer in directions.values { buffer.baseAddress.map { UnsafeMutableRawPointer($0).deallocate() } } }

    /// Operators that the backend has no kernel for.
    public var slowOperators: [String] { program.slowOperators }

    /// - Parameter direction: The elements of all weights, one after the other.
    /// - Returns: `∇²_ww L · direction` in the same order, and `∇_m ⟨∇_w L, direction⟩` by site.
    public func run(
        _ batch: Batch, mixture: [[Double]], direction: [Double], random: RandomSource
    ) throws -> (hessian: [Double], mixed: [[Double]]) {
        var start = 0
        for tensor in weights {
            guard let buffer = directions["direction." + tensor.name] else { continue }
            for index in 0..<tensor.count { buffer[index] = Float(direction[start + index]) }
            start += tensor.count
        }
        inputs.further = directions.mapValues { UnsafeBufferPointer($0) }
        try inputs.run(graph, program, batch, mixture, nil, random)
        var hessian: [Double] = []
        hessian.reserveCapacity(start)
        for tensor in weights {
            if let output = outputs[tensor.name] {
                hessian += program.output(output).map(Double.init)
            } else {
                hessian += [Double](repeating: 0, count: tensor.count)
            }
        }
        let mixed = sites.map { site in
            outputs[site].map { program.output($0).map(Double.init) }
                ?? [Double](repeating: 0, count: inputs.counts[site] ?? 0)
        }
        return (hessian, mixed)
    }
}

/// The memory of mixture weights and of weighted targets.
private final class MixtureInputs {
    let counts: [String: Int]
    var further: [String: UnsafeBufferPointer<Float>] = [:]
    private let sites: [String]
    private var buffers: [String: UnsafeMutableBufferPointer<Float>] = [:]
    private var targets: UnsafeMutableBufferPointer<Float>?

    init(_ graph: Graph, sites: [String]) {
        self.sites = sites
        let types = Dictionary(zip(graph.inputNames, graph.inputs.map { graph.type(of: $0) })) { first, _ in first }
        counts = Dictionary(sites.map { ($0, types[$0]?.count ?? 0) }) { first, _ in first }
        for site in sites { buffers[site] = aligned(counts[site] ?? 0, zero: 0) }
    }

    deinit {
        for buffer in Array(buffers.values) + [targets].compactMap({ $0 }) {
            buffer.baseAddress.map { UnsafeMutableRawPointer($0).deallocate() }
        }
    }

    func filled(
        _ batch: Batch, _ mixture: [[Double]], _ exampleWeights: [Double]?, _ random: RandomSource
    ) throws(ShapeError) -> NetworkInputs {
        guard mixture.count == sites.count else {
            throw ShapeError("the network has \(sites.count) relaxed choices, found weights for \(mixture.count)")
        }
        for (site, weights) in zip(sites, mixture) {
            guard let buffer = buffers[site], counts[site] == weights.count || counts[site] == 0 else {
                throw ShapeError("expected \(counts[site] ?? 0) mixture weights, found \(weights.count)", at: site)
            }
            for index in buffer.indices { buffer[index] = Float(weights[index]) }
        }
        var inputs = NetworkInputs(batch, random: random)
        inputs.further = further
        for site in sites { inputs.further[site] = buffers[site].map { UnsafeBufferPointer($0) } }
        if let exampleWeights {
            let scaled = targets ?? aligned(batch.targets.count, zero: 0)
            targets = scaled
            for index in scaled.indices {
                let row = index / batch.classCount
                scaled[index] = row < exampleWeights.count ? batch.targets[index] * Float(exampleWeights[row]) : 0
            }
            inputs.further[Graph.FormName.targets] = UnsafeBufferPointer(scaled)
        }
        return inputs
    }

    func run(
        _ graph: Graph, _ program: any GraphProgram, _ batch: Batch, _ mixture: [[Double]],
        _ exampleWeights: [Double]?, _ random: RandomSource
    ) throws {
        try filled(batch, mixture, exampleWeights, random).run(graph, program)
    }
}
