import CodeGeneration
import Execution
import Foundation
import Hardware
import IR
import ONNXFormat
import Passes
import Spaces
import Training

/// The phases from the winner on.
extension SearchRun {
    /// The form of the exported network: trained by itself, or a path of the supernet.
    private var network: Supernet { isInherited ? Supernet(space) : .standalone(space) }
    private var isInherited: Bool { configuration.recipe.retraining == .inherited }

    private func winner() throws -> Architecture {
        guard let winner = state.winner else { throw SearchError(.resume, "the state holds no winner") }
        return winner
    }

    /// Trains the winner from scratch. The validation images still take no part.
    func retrain() throws {
        let winner = try winner()
        let settings = configuration.retraining
        let loader = try BatchLoader(
            splits.retraining, batchSize: settings.batch, augmentation: settings.augmentation,
            random: random.fork("retraining images"))
        let steps = settings.steps(images: splits.retraining.count)
        let fresh = ParameterStore()
        let form = try network.build(winner, batch: settings.batch, .training(softTargets: true)).graph
        let trainer = try Trainer(
            .fixed(form), store: fresh, loader: loader,
            configuration: TrainingConfiguration(
                steps: steps, optimizer: settings.optimizer, rate: settings.rate, clip: settings.clip,
                statisticsMomentum: nil),
            backend: backend, random: random.fork("retraining"))
        try run(trainer, part: "retraining", steps: steps)
    }

    /// Writes ONNX and C of the retrained winner, and holds both against the executor.
    func export() throws {
        let winner = try winner()
        let weights = try retrainedWeights(winner)
        let graph = try network.build(winner, batch: 1, .inference).graph
        let store = ParameterStore()
        try store.load(weights)
        let evaluator = Evaluator(backend: backend)
        let inference = try network.build(winner, batch: 200, .inference).graph
        report(0, of: 5, "judging on test images")
        let test = try evaluator.evaluate(inference, store: store, on: splits.test)
        let validation = try evaluator.evaluate(inference, store: store, on: splits.validation)

        let vectors = try testVectors(graph, weights)
        let values = Dictionary(weights.tensors.map { ($0.name, $0.literal) }) { first, _ in first }
        report(1, of: 5, "compiling the C")
        try weights.write(to: folder.weights)
        let deployed = try target.deployed(graph, parameters: values)
        let program = try exportC(deployed, vectors[0], accuracy: test.accuracy)
        let cError = try verify(program, vectors)
        let flash = Double(try profiler.builder.size(of: SourceProgram(program)).flash)
        report(2, of: 5, "timing the C on \(target.name)")
        let latency = try finalLatency(program)
        let steps = try stepTimes(deployed)
        report(4, of: 5, "writing ONNX")
        let onnxError = try exportONNX(graph, values, vectors, accuracy: test.accuracy, latency: latency)

        let cost = try Cost(of: deployed)
        let limits = configuration.limits
        let arena = Double(program.arenaBytes), macs = try costs.figures(winner).macs
        var kept: [RunRecord.Limit] = []
        func keep(_ name: String, _ limit: Double?, _ unit: Constraint.Unit, _ value: Double) {
            if let limit { kept.append(.init(name: name, limit: limit, unit: unit, winner: value)) }
        }
        keep("latency", limits.latency, .milliseconds, latency.median)
        keep("peak-memory", limits.peakMemory, .bytes, arena)
        keep("flash", limits.flash, .bytes, flash)
        keep("macs", limits.macs, .macs, macs)
        let predicted = try state.estimator?.predict(costs.figures(winner).features)
        try add(.winner, winner, accuracy: test.accuracy, predicted: predicted, measured: latency.median)
        try writeRecord(status: "running") { record in
            var found = RunRecord.Winner(
                architecture: winner, text: space.text(of: winner), testAccuracy: test.accuracy,
                validationAccuracy: validation.accuracy, latency: latency.median, latencySpread: latency.spread,
                latencyP95: latency.p95, macs: macs, weights: Double(cost.parameters))
            (found.onnxError, found.cError, found.flash) = (onnxError, cError, flash)
            record.winner = found
            record.limits = kept
            record.steps = steps
            record.howToRun = ["cd \(folder.c)", "make check bench"]
        }
        guard let broken = kept.first(where: { !(($0.winner ?? .infinity) <= $0.limit) }) else { return }
        throw SearchError(
            .failed,
            "\(broken.name): the winner needs \(broken.unit.text(broken.winner ?? .nan)), more than the limit "
                + "\(broken.unit.text(broken.limit)). Search again with a lower limit or another seed.")
    }

    /// The time of each step of the winner, where the target is this machine.
    private func stepTimes(_ deployed: Graph) throws -> [RunRecord.Step]? {
        guard target.figures == .latency, case .local = target.runner else { return nil }
        let times = try StepTimes(deployed, name: "winner", target: target, seconds: 0.3)
        return zip(times.program.steps, times.milliseconds).map { step, time in
            let name = [step.mnemonic, step.name, step.results.first?.description].compactMap { $0 }
            return RunRecord.Step(name: name.joined(separator: " "), milliseconds: time)
        }
    }

    /// The weights of the winner, retrained or inherited, with exact normalisation statistics.
    private func retrainedWeights(_ winner: Architecture) throws -> SafeTensors {
        let part = isInherited ? "supernet" : "retraining"
        guard var trained = try latestCheckpoint(of: part)?.tensors["weights"] else {
            throw SearchError(.resume, "\(folder.checkpoints)/\(part): holds no whole checkpoint")
        }
        let own = Set(try network.build(winner, batch: 1, .inference).parameters.map(\.name))
        trained.tensors.removeAll { !own.contains($0.name) }
        let store = ParameterStore()
        try store.load(trained)
        let batch = min(500, splits.retraining.count)
        let form = try network.build(winner, batch: batch, .calibration).graph
        let statistics = try Evaluator(backend: backend).recalibrated(
            form, store: store, on: splits.retraining, batches: min(40, splits.retraining.count / batch),
            random: random.fork("final statistics"))
        return SafeTensors(trained.tensors + statistics.tensors)
    }

    // MARK: Verification

    /// Test images with the logits that the executor gives, one image at a time.
    private func testVectors(_ graph: Graph, _ weights: SafeTensors) throws -> [TestVector] {
        let values = Dictionary(weights.tensors.map { ($0.name, $0.literal) }) { first, _ in first }
        let bound = try graph.applying(bindParameters(to: values), stage: .deployable)
        let executor = try Executor(bound.applying(chooseLayout(), lowerForExecution), pool: pool)
        let loader = try BatchLoader(splits.test, batchSize: 1, order: .sequential, random: random)
        return try (0..<min(8, splits.test.count)).map { index in
            let image = Literal(Array(loader.batch(index).images), shape: graph.type(of: graph.inputs[0]).shape)
            try executor.run(literals: [image])
            return TestVector(inputs: [image], outputs: [executor.output(0).literal])
        }
    }

    /// Writes the ONNX file, reads it back, compares what was read with what was written, and runs it.
    ///
    /// - Returns: The largest difference of its logits, relative to the largest logit.
    /// - Throws: ``SearchError`` (`failed`) when the file holds another graph, or computes other logits.
    private func exportONNX(
        _ graph: Graph, _ values: [String: Literal], _ vectors: [TestVector], accuracy: Double,
        latency: LatencyMeasurement
    ) throws -> Double {
        let bound = try graph.applying(
            bindParameters(to: values), removeDeadCode, foldConstants, removeIdentities, mergeDuplicates, foldBatchNorm,
            removeDeadCode, stage: .deployable)
        let normalization = splits.normalization
        func list(_ numbers: [Double]) -> String { numbers.map { "\($0)" }.joined(separator: ", ") }
        let entries: [(String, String)] = [
            ("task", "image-classification"), ("classes", classNames.joined(separator: ", ")),
            (
                "preprocessing",
                "(byte / 255 - mean) / deviation; mean \(list(normalization.mean)); deviation \(list(normalization.deviation))"
            ),
            ("run", URL(filePath: folder.path).lastPathComponent), ("seed", "\(configuration.seed)"),
            ("architecture", space.text(of: try winner())), ("test_accuracy", decimal(accuracy, 4)),
            ("target", target.name), ("latency_ms", decimal(latency.median, 6)),
            ("latency_p95_ms", decimal(latency.p95, 6)),
            ("latency_of", "the median of one inference of this network's generated C on the target"),
        ]
        try ONNXExporter.write(
            bound, to: folder.model, metadata: entries.map { .init(key: $0.0, value: $0.1) },
            documentation: "Found by martlet in the space \(space.name).")
        let read = try ONNXImporter.graph(of: try ONNXModel(path: folder.model), options: .init())
        if let difference = try ONNXExporter.difference(between: bound, andReadBack: read) {
            throw SearchError(.failed, "\(folder.model): reads back as another graph: \(difference)")
        }
        let executor = try Executor(read.applying(chooseLayout(), lowerForExecution), pool: pool)
        let results = try vectors.map { vector in
            try executor.run(literals: vector.inputs)
            return executor.output(0).floats
        }
        return try difference(results, vectors, "the ONNX file", within: 1e-4)
    }

    private func exportC(_ deployed: Graph, _ vector: TestVector, accuracy: Double) throws -> CProgram {
        var options = COptions(name: "model")
        options.test = vector
        options.notes = [
            .init("architecture", space.text(of: try winner())), .init("test_accuracy", decimal(accuracy, 4)),
            .init("classes", classNames.joined(separator: ", ")),
        ]
        let program = try CProgram(deployed, options: options)
        let files = FileManager.default
        do {
            if files.fileExists(atPath: folder.c) { try files.removeItem(atPath: folder.c) }
            try files.createDirectory(atPath: folder.c, withIntermediateDirectories: true)
        } catch {
            throw SearchError(.output, "\(folder.c): cannot be written: \(error.localizedDescription)")
        }
        for file in program.files(for: target) {
            try FileWriting.replace("\(folder.c)/\(file.name)", with: file.contents)
        }
        return program
    }

    /// Runs the C on the test images.
    private func verify(_ program: CProgram, _ vectors: [TestVector]) throws -> Double {
        let built = try profiler.builder.build(SourceProgram(program), as: .run)
        let runner = ProgramRunner(for: target)
        let results = try vectors.map { vector in
            let bytes = try runner.run(built, inputs: vector.inputs.map(\.bytes))
            return Literal(.f32, vector.outputs[0].shape, bytes: bytes[0]).floats
        }
        // Fast convolutions round differently, by up to a thousandth of the largest logit.
        return try difference(results, vectors, "the C program", within: 1e-3)
    }

    /// The largest difference, as a share of the largest logit.
    ///
    /// - Throws: ``SearchError`` (`failed`) when it is more than the tolerance.
    private func difference(
        _ found: [[Float]], _ vectors: [TestVector], _ subject: String, within tolerance: Double
    ) throws -> Double {
        var worst = 0.0
        for (found, vector) in zip(found, vectors) {
            let expected = vector.outputs[0].floats
            let largest = max(expected.map(abs).max() ?? 0, 1e-6)
            for (a, b) in zip(found, expected) { worst = max(worst, Double(abs(a - b) / largest)) }
            if found.contains(where: \.isNaN) || found.count != expected.count { worst = .infinity }
        }
        guard worst <= tolerance else {
            throw SearchError(
                .failed,
                "\(subject) differs from the trained network by \(worst) of the largest logit, more than \(tolerance)")
        }
        return worst
    }

    /// The median of the program that was written, measured with care; again when it is a hair over the limit.
    private func finalLatency(_ program: CProgram) throws -> LatencyMeasurement {
        var careful = profiler
        careful.plan = MeasuringPlan()
        let source = SourceProgram(program)
        let first = try careful.measure([source], anew: true)[0]
        guard let limit = configuration.limits.latency, first.median > limit, first.median < 1.1 * limit else {
            return first
        }
        let second = try careful.measure([source], anew: true)[0]
        return second.median < first.median ? second : first
    }
}
