import Execution
import Foundation
import IR
import Passes
import Spaces
import Training

/// Our side of a case: a network, or paths of a supernet that take turns, with the parameters they share.
final class MartletSide {
    let batch: Int
    /// The forward graphs of the paths, where a case has more than one.
    private(set) var paths: [Graph] = []

    private let networks: [Graph]
    private let isFixed: Bool
    private let settings: ExecutionSettings
    private let store = ParameterStore()
    private let arena: Arena
    private let pool: ThreadPool
    private let backend: Backend
    private let optimizer = SGD(momentum: 0.9, nesterov: false)
    private let images: UnsafeMutableBufferPointer<Float>
    private let targets: UnsafeMutableBufferPointer<Float>
    private var fixed: TrainingStep?
    private var turn = 0

    /// - Parameter arena: shared between sides that take turns.
    init(
        _ name: String, _ options: BenchmarkOptions, _ settings: ExecutionSettings, threads: Int, arena: Arena = Arena()
    ) throws {
        (self.settings, self.arena) = (settings, arena)
        let random = RandomSource(seed: 1)
        switch name {
        case "mobilenet":
            batch = options.batch ?? 96
            networks = [try ReferenceNetwork.mobileNetV2(batch: batch, side: 64)]
        case "nb201":
            batch = options.batch ?? 64
            networks = [try ReferenceNetwork.nasBench201(batch: batch, side: 32)]
        case "darts":
            batch = options.batch ?? 64
            networks = [try ReferenceNetwork.darts(batch: batch, side: 32)]
        default:
            batch = options.batch ?? 96
            networks = try Self.singlePaths(16, batch: batch, random.fork("paths"))
        }
        isFixed = networks.count == 1
        if !isFixed { paths = networks }
        pool = try ThreadPool(threads: threads)
        backend = .executor(pool: pool, arena: arena, effort: isFixed ? .thorough : .quick, settings)
        let image = networks[0].type(of: networks[0].inputs[0]), target = networks[0].type(of: networks[0].inputs[1])
        (images, targets) = (.allocate(capacity: image.count), .allocate(capacity: target.count))
        var draws = random.fork("images")
        for index in images.indices { images.initializeElement(at: index, to: Float(draws.normal(deviation: 1))) }
        targets.initialize(repeating: 0)
        let classes = target.shape[1]
        for row in 0..<batch { targets[row * classes + row % classes] = 1 }
        for network in networks { try store.prepare(for: network, random: random.fork("initial")) }
    }

    deinit {
        images.deallocate()
        targets.deallocate()
    }

    /// Paths of the demonstration's supernet, drawn uniformly.
    private static func singlePaths(_ count: Int, batch: Int, _ random: RandomSource) throws -> [Graph] {
        let supernet = Supernet(try SpaceLibrary().space("mbconv-28"))
        var random = random
        return try (0..<count).map { _ in
            let choices = supernet.space.alphabet.map { Int(random.next() % UInt64($0)) }
            return try supernet.build(Architecture(choices: choices), batch: batch, .training(softTargets: true)).graph
        }
    }

    /// One step of the fixed network, or of the next path, which is prepared as in a search: anew.
    private func step() throws {
        let current: TrainingStep
        if let fixed {
            current = fixed
        } else {
            current = try TrainingStep(networks[turn % networks.count], store: store, backend: backend)
            turn += 1
            if isFixed { fixed = current }
        }
        try current.program.run([UnsafeRawPointer(images.baseAddress!), UnsafeRawPointer(targets.baseAddress!)])
        optimizer.step(current.gradients, rate: 0.025, pool: pool)
    }

    /// The median time of a step over a number of seconds; a turn of paths is all of them.
    func burst(_ seconds: Double) throws -> Double {
        if isFixed && fixed == nil { try step() }
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        var times: [Double] = []
        repeat {
            let start = clock.now
            for _ in networks { try step() }
            times.append((clock.now - start) / .seconds(1) / Double(networks.count))
        } while clock.now < end
        return median(times)
    }

    /// Bytes of everything that a step works on: arena, parameters and momentum, batch.
    var memory: Double {
        Double(arena.bytes + store.weightCount * 8 + images.count * 4 + targets.count * 4)
    }

    /// The graph of the (first) network's step, as it is run.
    var graph: Graph {
        get throws { try Backend.executorGraph(networks[0].withParameterGradients(), settings) }
    }

    /// Bytes that the values of the (first) network's step take.
    var plannedMemory: Int {
        get throws { try Executor.arenaBytes(of: graph, threads: pool.threads) }
    }

    /// Floating-point operations of a step: those of products, as they are defined, on average over the networks.
    var operations: Double {
        get throws {
            let macs = try networks.map { Double(try Cost(of: $0.withParameterGradients()).macs) }
            return 2 * macs.reduce(0, +) / Double(macs.count)
        }
    }

    /// A Chrome trace of one step of the (first) network, after another one that is not recorded.
    func trace() throws -> String {
        let graph = try graph
        let executor = try Executor(graph, pool: pool, parameters: StoreParameters(store), arena: arena)
        let inputs = [UnsafeRawBufferPointer(images), UnsafeRawBufferPointer(targets)]
        try executor.run(inputs)
        executor.measuresTimes = true
        try executor.run(inputs)
        var trace = ChromeTrace()
        trace.add(executor.times, of: graph)
        return trace.json
    }
}

/// A network's loss and gradients on the parameters of a store.
private struct TrainingStep {
    let program: any GraphProgram
    let gradients: [ParameterGradient]

    init(_ network: Graph, store: ParameterStore, backend: Backend) throws {
        let graph = try network.withParameterGradients()
        let program = try backend.program(graph, store: store)
        self.program = program
        gradients = graph.outputNames.enumerated().compactMap { index, name in
            guard name.hasPrefix(Graph.FormName.gradientPrefix),
                let tensor = store[String(name.dropFirst(Graph.FormName.gradientPrefix.count))]
            else { return nil }
            return ParameterGradient(tensor) { program.output(index) }
        }
    }
}

private final class StoreParameters: ParameterStorage {
    private let store: ParameterStore

    init(_ store: ParameterStore) { self.store = store }

    func memory(ofParameter name: String) -> UnsafeMutableRawBufferPointer? {
        store[name].map { UnsafeMutableRawBufferPointer($0.values) }
    }
}
