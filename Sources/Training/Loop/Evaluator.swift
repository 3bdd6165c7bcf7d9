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
    private let backend: Backend

    public init(backend: Backend) { self.backend = backend }

    /// Loss and accuracy of a network on a part of the data, in batches of the network's size.
    ///
    /// - Parameters:
    ///   - form: An inference form; or a calibration form, to normalise by each batch's own statistics: images that do
    ///     not fill a batch are left out then.
    ///   - statistics: Running statistics in the place of the store's, from a recalibration.
    /// - Throws: ``ShapeError`` when store, statistics or images do not fit the network.
    public func evaluate<Role: SplitRole>(
        _ form: Graph, store: ParameterStore, statistics: SafeTensors = SafeTensors(), on split: DataSplit<Role>
    ) throws -> Evaluation {
        let usesBatch = !form.statisticsOutputs.isEmpty
        let graph = try form.withLoss()
        let program = try backend.program(graph, parameters: overridden(graph, store, statistics))
        let loader = try BatchLoader(
            split, batchSize: form.batchSize, order: .sequential, random: RandomSource(seed: 0))
        var result = Evaluation(count: 0, correct: 0, loss: 0)
        for step in 0..<loader.batchesPerEpoch {
            let batch = loader.batch(step)
            if usesBatch, batch.count < batch.capacity { continue }
            try NetworkInputs(batch).run(graph, program)
            // Empty rows have zero targets and so no loss; the mean is over all rows.
            result.loss += Double(program.output(0)[0]) * Double(batch.capacity)
            result.correct += Int(
                martlet_data_correct(
                    program.output(1).baseAddress, batch.labels.baseAddress, Int64(batch.count), Int64(batch.classCount)
                ))
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
    /// - Parameter form: A calibration form, see ``Graph/calibrationForm()``.
    /// - Source: Guo et al., *Single Path One-Shot Neural Architecture Search with Uniform Sampling*, ECCV 2020,
    ///   section 3.2; the exact mean instead of a moving one.
    public func recalibrated(
        _ form: Graph, store: ParameterStore, on split: DataSplit<Split.Weights>, batches: Int,
        augmentation: Augmentation = .none, random: RandomSource
    ) throws -> SafeTensors {
        precondition(batches > 0, "a recalibration needs a batch")
        var graph = form
        let statistics = form.statisticsOutputs
        graph.setOutputs(statistics.map { form.outputs[$0.output] }, names: statistics.map(\.name))
        graph = graph.pruned()
        let program = try backend.program(graph, store: store)
        let loader = try BatchLoader(
            split, batchSize: form.batchSize, augmentation: augmentation, random: random.fork("recalibration"))
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
                let type = graph.type(of: value)
                // A parameter made for the widest of several networks takes the statistics of this one first.
                guard literal.element == .f32, type.rank == 1, literal.shape.count == 1, literal.count <= type.count
                else {
                    throw ShapeError("expected statistics \(type), found \(literal.type)", at: name)
                }
                let tensor = StoredTensor(name, shape: type.shape, kind: .statistic)
                tensor.assign(literal.floats + [Float](repeating: 1, count: type.count - literal.count))
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
