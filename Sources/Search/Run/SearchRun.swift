import CodeGeneration
import Execution
import Foundation
import Hardware
import IR
import Passes
import Spaces
import Training

/// A search from space and data to a trained network with its ONNX file and C: the whole run, in a folder of its own.
///
/// The phases follow one another: measure candidates and fit the latency model, train the supernet (with the
/// architecture, where the recipe learns it by gradient), evolve or discretise under the limits, measure the leaders,
/// retrain the best, export and verify. Each leaves what the next needs in checkpoints, so a run that was stopped or
/// killed goes on where it was, to the same end.
public final class SearchRun {
    public let configuration: SearchConfiguration
    public let folder: RunFolder
    public var cancellation: Cancellation?
    /// Where compiled candidates and the measurement database are kept between runs.
    private let cache: String
    private(set) var record: RunRecord
    var state: SearchState
    private(set) var log: TrialLog

    let space: SearchSpace
    let target: Target
    let splits: DataSplits
    let classNames: [String]
    let costs: CandidateCosts
    let pool: ThreadPool
    let backend: Backend
    let store = ParameterStore()
    let profiler: Profiler
    var progress: (SearchProgress) -> Void = { _ in }
    private var warn: (String) -> Void = { _ in }
    /// Checkpoints that were passed over when the run was resumed.
    private var refused: [StorageError] = []
    private let clock = ContinuousClock()
    private var phaseStart: ContinuousClock.Instant
    private var phaseName = ""
    private var announced: ContinuousClock.Instant?

    /// Starts a new run.
    ///
    /// - Parameters:
    ///   - path: The folder of the run.
    ///   - cache: A folder for builds and measurements that runs share.
    ///   - force: Replaces an earlier run in the folder.
    /// - Throws: The error of what is wrong with space, data, target or folder; nothing is written before all are right.
    public convenience init(
        _ configuration: SearchConfiguration, folder path: String, cache: String, force: Bool = false
    ) throws {
        let parts = try Parts(configuration, cache: cache)
        let folder = try RunFolder(creating: path, force: force)
        let log = try TrialLog(file: folder.trials)
        try self.init(configuration, folder, parts, cache, SearchState(), log)
        try writeRecord(status: "running")
    }

    /// Goes on with the run in a folder.
    ///
    /// - Throws: ``SearchError`` when the folder holds no run that can go on.
    public convenience init(resuming path: String, cache: String) throws {
        let folder = try RunFolder(resuming: path)
        let data = FileManager.default.contents(atPath: folder.record) ?? Data()
        guard let record = try? JSONDecoder().decode(RunRecord.self, from: data),
            let configuration = record.configuration
        else {
            throw SearchError(.resume, "\(folder.record): is damaged, or of another version")
        }
        let parts = try Parts(configuration, cache: cache)
        var state = SearchState()
        let found = try Self.states(in: folder).latest()
        if let found { state = try found.checkpoint.value(of: "search") }
        let log = try TrialLog(file: folder.trials, keeping: state.trials)
        try self.init(configuration, folder, parts, cache, state, log)
        refused = found?.refused ?? []
        // What a finished run found stays in its record.
        if state.phase == .done {
            (self.record.winner, self.record.limits) = (record.winner, record.limits)
            self.record.howToRun = record.howToRun
        }
    }

    private init(
        _ configuration: SearchConfiguration, _ folder: RunFolder, _ parts: Parts, _ cache: String,
        _ state: SearchState,
        _ log: TrialLog
    ) throws {
        (self.configuration, self.folder, self.cache, self.state, self.log) = (configuration, folder, cache, state, log)
        (space, target, splits, classNames) = (parts.space, parts.target, parts.splits, parts.classNames)
        (costs, profiler) = (CandidateCosts(parts.space, target: parts.target), parts.profiler)
        pool = try ThreadPool(threads: configuration.threads)
        backend = .executor(
            pool: pool, effort: .quick, memoryLimit: configuration.trainingMemory,
            ExecutionSettings(precision: configuration.trainingPrecision ?? .f32))
        phaseStart = clock.now
        record = RunRecord(
            name: URL(filePath: folder.path).lastPathComponent, status: "running", seed: configuration.seed,
            algorithm: configuration.recipe.name, space: space.name, data: configuration.data, target: target.name,
            versions: ["compiler": parts.profiler.builder.compilerVersion], settings: configuration.summary, limits: [])
        record.configuration = configuration
    }

    /// What a configuration names, loaded and checked.
    private struct Parts {
        let space: SearchSpace
        let target: Target
        let splits: DataSplits
        let classNames: [String]
        let profiler: Profiler

        init(_ configuration: SearchConfiguration, cache: String) throws {
            var space = try SpaceLibrary().space(configuration.space)
            if let conflict = configuration.recipe.conflicts(with: space).first {
                throw SearchError(.configuration, "\(configuration.recipe.name): \(conflict)")
            }
            target = try TargetLibrary().target(configuration.target)
            if let missing = Builder.missingTools(of: target) { throw missing }
            guard target.figures == .latency else {
                throw SearchError(
                    .configuration,
                    "target \(target.name): gives no latency to search by; choose one whose file says 'figures: latency'"
                )
            }
            let known = try KnownCorpus.named(configuration.data)
            var corpus = try known.load(
                from: configuration.dataFolder.map { URL(filePath: $0, directoryHint: .isDirectory) })
            guard corpus.training.channels == space.input.channels else {
                throw SearchError(
                    .configuration,
                    "the space \(space.name) takes images of \(space.input.channels) channels, \(configuration.data) has "
                        + "\(corpus.training.channels)")
            }
            if (corpus.training.height, corpus.training.width) != (space.input.height, space.input.width) {
                corpus = corpus.resized(height: space.input.height, width: space.input.width)
            }
            space.classes = corpus.training.classCount
            self.space = space
            classNames = corpus.training.classNames
            let architecture = configuration.architectureImages(of: corpus.training.count)
            splits = try DataSplits(
                corpus, weights: configuration.trainingImages.map { $0 - architecture }, architecture: architecture,
                validation: configuration.validationImages,
                random: RandomSource(seed: configuration.seed).fork("data"))
            profiler = Profiler(
                builder: try Builder(for: target, in: cache + "/builds"), plan: .quick,
                database: try MeasurementDatabase(path: cache + "/measurements.sqlite"))
        }
    }

    /// Runs what is left of the search.
    ///
    /// - Parameters:
    ///   - progress: Told how far the run is.
    ///   - warn: Told of what went wrong without stopping the run, such as a damaged checkpoint.
    /// - Returns: The record of the finished run.
    /// - Throws: ``InfeasibleError`` when no network meets the limits, ``SearchError`` (`failed`) when the winner misses
    ///   one after all, ``TrainingError`` when training breaks down or is cancelled; the run can then be resumed.
    @discardableResult
    public func execute(
        progress: @escaping (SearchProgress) -> Void = { _ in }, warn: @escaping (String) -> Void = { _ in }
    ) throws -> RunRecord {
        (self.progress, self.warn) = (progress, warn)
        report(refused: refused)
        if state.phase == .measuring { try phase("latency model", then: .training) { try fitLatency() } }
        let recipe = configuration.recipe
        if state.phase == .training {
            if recipe.isDifferentiable {
                try phase("search", then: .evolving) { try searchByGradient() }
            } else {
                try phase("supernet training", then: .evolving) { try trainSupernet() }
            }
        }
        if state.phase == .evolving {
            switch recipe.selection {
            case .evolution: try phase("evolution", then: .choosing) { try evolve() }
            case .discretized: try phase("selection", then: .choosing) { try select() }
            }
        }
        if state.phase == .choosing {
            try phase("finalists", then: configuration.stopsBeforeRetraining ? .done : .retraining) {
                try chooseWinner()
            }
        }
        if state.phase == .retraining, recipe.retraining == .inherited { state.phase = .exporting }
        if state.phase == .retraining { try phase("retraining", then: .exporting) { try retrain() } }
        if state.phase == .exporting { try phase("export and verification", then: .done) { try export() } }
        try writeRecord(status: "done")
        return record
    }

    var random: RandomSource { RandomSource(seed: configuration.seed) }

    private func phase(_ name: String, then next: SearchState.Phase, _ body: () throws -> Void) throws {
        (phaseName, phaseStart, announced) = (name, clock.now, nil)
        do { try body() } catch {
            settleTime()
            try? writeRecord(status: "stopped: \(error)")
            throw error
        }
        settleTime()
        state.phase = next
        try saveState()
        try writeRecord(status: "running")
    }

    /// Adds the time since the last call to the phase.
    private func settleTime() {
        state.add(clock.now - phaseStart, to: phaseName)
        phaseStart = clock.now
    }

    /// Stores everything but weights, so that a killed run goes on from here.
    func saveState() throws {
        settleTime()
        state.trials = log.trials.count
        let step = (Self.states(in: folder).steps().first ?? 0) + 1
        var checkpoint = Checkpoint(step: step)
        try checkpoint.store(state, as: "search")
        try Self.states(in: folder).save(checkpoint)
    }

    private static func states(in folder: RunFolder) -> CheckpointStore {
        CheckpointStore(folder: URL(filePath: folder.checkpoints + "/state", directoryHint: .isDirectory))
    }

    func checkpoints(of part: String) -> CheckpointStore {
        CheckpointStore(folder: URL(filePath: "\(folder.checkpoints)/\(part)", directoryHint: .isDirectory))
    }

    /// Tells of checkpoints that were damaged and passed over.
    func report(refused: [StorageError]) {
        for error in refused { warn("\(error); going on from the checkpoint before") }
    }

    /// The latest whole checkpoint of a part of the run.
    func latestCheckpoint(of part: String) throws -> Checkpoint? {
        guard let found = try checkpoints(of: part).latest() else { return nil }
        report(refused: found.refused)
        return found.checkpoint
    }

    func checkCancellation() throws {
        guard cancellation?.isRequested == true else { return }
        try saveState()
        throw SearchError(.interrupted, "stopped during \(phaseName); the run in \(folder.path) can be resumed")
    }

    /// Tells the caller how far the phase is, at most ten times a second.
    func report(_ done: Int, of total: Int, _ text: String, remaining: Double? = nil) {
        let now = clock.now
        if let announced, now - announced < .milliseconds(100), done < total { return }
        announced = now
        let seconds = (now - phaseStart).seconds
        let left = remaining ?? (done > 0 ? seconds / Double(done) * Double(total - done) : nil)
        progress(SearchProgress(phase: phaseName, done: done, total: total, text: text, remaining: left))
    }

    func add(
        _ kind: Trial.Kind, _ architecture: Architecture, accuracy: Double? = nil, predicted: Double? = nil,
        measured: Double? = nil, observation: Observation? = nil
    ) throws {
        let figures = try costs.figures(architecture)
        try log.append(
            Trial(
                index: log.trials.count, kind: kind, architecture: architecture, text: space.text(of: architecture),
                accuracy: accuracy, predictedLatency: predicted, measuredLatency: measured,
                costs: ["macs": figures.macs, "weight-bytes": figures.weightBytes],
                seconds: state.seconds + (clock.now - phaseStart).seconds, observation: observation))
    }

    /// Brings `run.json`, the Pareto table and the report up to date.
    func writeRecord(status: String, _ change: (inout RunRecord) -> Void = { _ in }) throws {
        record.status = status
        record.phases = state.times
        record.model = state.estimator?.heldOut
        if let winner = state.winner, record.sketch == nil {
            let graph = try costs.supernet.build(winner, batch: 1, .inference).graph
            record.sketch = NetworkSketch(space, winner, graph: graph)
        }
        change(&record)
        let report = RunReport(record, log.trials)
        try folder.write(record, to: folder.record)
        try folder.write(report.table, to: folder.paretoTable)
        try folder.write(report.drawing, to: folder.paretoDrawing)
        try folder.write(report.page, to: folder.report)
    }
}

extension Duration {
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}

extension SearchState {
    fileprivate mutating func add(_ time: Duration, to phase: String) { add(time.seconds, to: phase) }
}
