import CKernels
public import IR

/// How well a network does on a part of the data.
public struct Evaluation: Codable, Hashable, Sendable {
    public var count: Int
    public var correct: Int
    /// Mean cross-entropy to the labels.
    public var loss: Double

    public var accuracy: Double { count > 0 ? Double(correct) / Double(count) : 0 }
}

/// Measures networks on the parameters of a store, which it never changes.
public struct Evaluator {
    /// Where batch norms take their statistics from.
    public enum Statistics {
        /// The running statistics of the store.
        case running
        /// Those of a recalibration, see ``Evaluator/recalibrated(_:store:on:batches:augmentation:random:)``.
        case given(SafeTensors)
        /// Those of each batch itself; images that do not fill a batch are left out.
        case ofBatch
    }

    private let backend: Backend

    public init(backend: Backend) { self.backend = backend }

    /// Loss and accuracy of a network on a part of the data, in batches of the network's size.
    ///
    /// - Throws: ``ShapeError`` when store, statistics or images do not fit the network.
    public func evaluate<Role: SplitRole>(
        _ network: Graph, store: ParameterStore, statistics: Statistics = .running, on split: DataSplit<Role>
    ) throws -> Evaluation {
        let graph: Graph
        var program: any GraphProgram
        switch statistics {
        case .running:
            graph = try network.inferenceForm().withLoss()
            program = try backend.program(graph, store: store)
        case .given(let saved):
            graph = try network.inferenceForm().withLoss()
            program = try backend.program(graph, parameters: overridden(graph, store, saved))
        case .ofBatch:
            graph = try network.withoutDropout().withLoss()
            program = try backend.program(graph, store: store)
        }
        let loader = try BatchLoader(
            split, batchSize: network.batchSize, order: .sequential, random: RandomSource(seed: 0))
        var result = Evaluation(count: 0, correct: 0, loss: 0)
        for step in 0..<loader.batchesPerEpoch {
            let batch = loader.batch(step)
            if case .ofBatch = statistics, batch.count < batch.capacity { continue }
            try NetworkInputs(batch).run(graph, program)
            // Empty rows have zero targets and so no loss; the mean is over all rows.
            result.loss += Double(program.output(0)[0]) * Double(batch.capacity)
            result.correct += Int(
                martlet_data_correct(
                    program.output(1).baseAddress, batch.labels.baseAddress, Int64(batch.count), Int64(batch.classCount)))
            result.count += batch.count
        }
        result.loss /= Double(max(result.count, 1))
        return result
    }

    /// The running statistics of a network on the parameters of a store: the mean, over batches of training images, of
    /// every batch norm's batch mean and variance.
    ///
    /// Supernets need this for each path: what the norms saw while other paths were trained says nothing about it.
    ///
    /// - Source: Guo et al., *Single Path One-Shot Neural Architecture Search with Uniform Sampling*, ECCV 2020,
    ///   section 3.2; the exact mean instead of a moving one.
    public func recalibrated(
        _ network: Graph, store: ParameterStore, on split: DataSplit<Split.Weights>, batches: Int,
        augmentation: Augmentation = .none, random: RandomSource
    ) throws -> SafeTensors {
        precondition(batches > 0, "a recalibration needs a batch")
        let graph = try network.statisticsForm()
        let program = try backend.program(graph, store: store)
        let loader = try BatchLoader(
            split, batchSize: network.batchSize, augmentation: augmentation, random: random.fork("recalibration"))
        var sums = graph.outputs.map { [Double](repeating: 0, count: graph.type(of: $0).count) }
        for step in 0..<batches {
            try NetworkInputs(loader.batch(step), random: random.fork("dropout").fork(step)).run(graph, program)
            for index in sums.indices {
                let values = program.output(index)
                for channel in sums[index].indices { sums[index][channel] += Double(values[channel]) }
            }
        }
        return SafeTensors(
            zip(graph.outputNames, sums).map { name, sum in
                NamedTensor(name, Literal(sum.map { Float($0 / Double(batches)) }))
            })
    }

    private func overridden(
        _ graph: Graph, _ store: ParameterStore, _ statistics: SafeTensors
    ) throws(ShapeError) -> [StoredTensor] {
        let given = Dictionary(statistics.tensors.map { ($0.name, $0.literal) }) { first, _ in first }
        return try graph.parameters.map { name, value throws(ShapeError) in
            if let literal = given[name] {
                guard literal.type == graph.type(of: value) else {
                    throw ShapeError("expected statistics \(graph.type(of: value)), found \(literal.type)", at: name)
                }
                let tensor = StoredTensor(name, shape: literal.shape, kind: .statistic)
                tensor.assign(literal.floats)
                return tensor
            }
            guard let tensor = store[name] else { throw ShapeError("the store holds no such parameter", at: name) }
            return tensor
        }
    }
}

extension Graph {
    /// Images in a batch: the first dimension of the first input.
    var batchSize: Int { inputs.first.flatMap { type(of: $0).shape.first } ?? 1 }
}
