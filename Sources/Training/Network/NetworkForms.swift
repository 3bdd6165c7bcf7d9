public import IR
import Operators
import Passes

/// A network, as the forms below take it: a graph whose first input is a batch of images and whose first output is the
/// logits `[N, classes]`. It holds `batch_norm` nodes (each with a name of its own) and perhaps `dropout` and
/// `drop_path`, whose key is an input of type `u32[2]`, and whose progress one named `progress`.
///
/// A training form adds the loss, a calibration form gives the batch's statistics, an inference form has running
/// statistics in their place. The running mean and variance of a batch norm named `x` are the parameters `x.mean` and
/// `x.variance`. Whoever builds the forms directly keeps to these names.
extension Graph {
    /// Names of the outputs and inputs that the forms add.
    public enum FormName {
        public static let loss = "loss"
        public static let logits = "logits"
        /// Input: a distribution over the classes for each image, `f32 [N, classes]`.
        public static let targets = "targets"
        /// Input: the class of each image, `i32 [N]`.
        public static let labels = "labels"
        /// Input: how far training has come, from 0 to 1, `f32 []`.
        public static let progress = "progress"
        public static let gradientPrefix = "grad."
        public static let mean = ".mean"
        public static let variance = ".variance"
    }

    /// The network with the cross-entropy to soft targets `[N, classes]`, a further input named `targets`.
    ///
    /// Outputs: `loss`, `logits`, and for every batch norm its batch's mean and variance under the names of the running
    /// statistics. Label smoothing and mixup are in the targets.
    ///
    /// - Throws: ``ShapeError`` when the first output is not a matrix, or two batch norms share a name.
    public func trainingForm() throws(ShapeError) -> Graph {
        let graph = try withLoss()
        let statistics = try graph.batchStatistics()
        var form = graph
        form.setOutputs(
            graph.outputs + statistics.map(\.value), names: graph.outputNames + statistics.map(\.name))
        return form
    }

    /// The network without dropout, its outputs the logits and every batch norm's mean and variance: what recalibration
    /// runs, and evaluation by the batch's own statistics.
    public func calibrationForm() throws(ShapeError) -> Graph {
        var graph = withoutDropout()
        let statistics = try graph.batchStatistics()
        graph.setOutputs(
            graph.outputs + statistics.map(\.value), names: graph.outputNames + statistics.map(\.name))
        return graph
    }

    /// The network as it is deployed: running statistics are parameters, dropout is gone.
    ///
    /// - Throws: ``ShapeError`` when two batch norms share a name.
    public func inferenceForm() throws(ShapeError) -> Graph {
        _ = try batchStatistics()
        let graph = try rewritten { node, operands, g throws(ShapeError) in
            guard let norm = node.op as? BatchNorm else { return nil }
            let name = node.name ?? ""
            let channels = g.type(of: operands[0]).plain.with(shape: [g.type(of: operands[0]).shape[1]])
            let mean = g.parameter(name + FormName.mean, channels)
            let variance = g.parameter(name + FormName.variance, channels)
            let y = try g.appendAll(
                BatchNormInference(epsilon: norm.epsilon), [operands[0], mean, variance] + operands.dropFirst(),
                name: node.name)
            return [y[0], mean, variance]
        }
        return graph.withoutDropout()
    }

    /// The graph with every dropout left out, of elements and of paths, and the inputs for their keys and progress.
    public func withoutDropout() -> Graph {
        rewritten { node, operands, _ in node.op is Dropout || node.op is DropPath ? [operands[0]] : nil }
            .pruned().withoutUnusedDraws()
    }

    /// The network with its loss: inputs gain `targets`, outputs are `loss` and `logits`.
    ///
    /// - Throws: ``ShapeError`` when the first output is not a matrix.
    public func withLoss() throws(ShapeError) -> Graph {
        var g = GraphBuilder(name: name)
        let inputs = zip(inputs, inputNames).map { g.input($1, type(of: $0)) }
        let results = g.inline(self, inputs: inputs)
        guard let logits = results.first, g.type(of: logits).rank == 2 else {
            throw ShapeError(
                "a network's first output is its logits [N, classes], found \(types(of: outputs))", at: name)
        }
        let targets = g.input(FormName.targets, g.type(of: logits))
        let loss = try g.append(SoftCrossEntropy(), logits, targets, name: FormName.loss)
        return g.finish(outputs: [loss, logits], names: [FormName.loss, FormName.logits])
    }

    /// Mean and variance of every batch norm, under the names of its running statistics.
    func batchStatistics() throws(ShapeError) -> [(name: String, value: Value)] {
        var names = Set<String>()
        var statistics: [(name: String, value: Value)] = []
        for node in nodes where node.op is BatchNorm {
            guard let name = node.name, names.insert(name).inserted else {
                throw ShapeError(
                    "every batch_norm of a network needs a name of its own: its running statistics are kept by it",
                    at: node.name ?? self.name)
            }
            statistics.append((name + FormName.mean, node.results[1]))
            statistics.append((name + FormName.variance, node.results[2]))
        }
        return statistics
    }

    /// The graph without inputs of dropout's keys and progress that no node reads.
    private func withoutUnusedDraws() -> Graph {
        let uses = useCounts()
        let unused = zip(inputs, inputNames).filter { input, name in
            (type(of: input).isRandomKey || name == FormName.progress) && uses[input.id] == 0
        }.map(\.0)
        guard !unused.isEmpty else { return self }
        var g = GraphBuilder(name: name)
        var new = [Value?](repeating: nil, count: valueCount)
        for (input, name) in zip(inputs, inputNames) where !unused.contains(input) {
            new[input.id] = g.input(name, type(of: input))
        }
        for node in nodes {
            let operands = node.operands.compactMap { new[$0.id] }
            let results = g.copy(node, operands: operands, types: types(of: node.results))
            for (old, result) in zip(node.results, results) { new[old.id] = result }
        }
        return g.finish(outputs: outputs.compactMap { new[$0.id] }, names: outputNames)
    }
}

extension Graph {
    /// The outputs that are batch statistics, by position.
    var statisticsOutputs: [(name: String, output: Int)] {
        outputNames.enumerated().compactMap { index, name in
            name.hasSuffix(FormName.mean) || name.hasSuffix(FormName.variance) ? (name, index) : nil
        }
    }
}

extension TensorType {
    /// Whether an input of this type is a key of random draws.
    var isRandomKey: Bool { self == TensorType(.u32, [2]) }
}
