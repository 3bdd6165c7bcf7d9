import Execution
import Foundation
import IR
import Testing
import Training

@Suite struct OptimizerTests {
    /// A store of two parameters and gradients that depend on the step.
    final class Problem {
        let store = ParameterStore()
        let w: StoredTensor
        let b: StoredTensor
        var gradients: [[Float]] = []

        init() throws {
            w = try store.add("w", shape: [3, 7]) { (0..<21).map { Float($0) / 10 - 1 } }
            b = try store.add("b", shape: [5]) { (0..<5).map { Float($0) - 2 } }
        }

        func step(_ optimizer: some Optimizer, _ time: Int, rate: Double, clip: Double? = nil, only: String? = nil)
            -> Double
        {
            let tensors = [w, b].filter { only == nil || $0.name == only }
            gradients = tensors.map { tensor in
                (0..<tensor.count).map { Float(sin(Double($0 + 3 * time) + Double(tensor.count))) }
            }
            let buffers = gradients.map { gradient in
                let buffer = UnsafeMutablePointer<Float>.allocate(capacity: gradient.count)
                buffer.initialize(from: gradient, count: gradient.count)
                return buffer
            }
            defer { for buffer in buffers { buffer.deallocate() } }
            let pairs = zip(tensors, buffers).map { ParameterGradient($0, UnsafePointer($1)) }
            optimizer.step(pairs, rate: rate, clip: clip)
            return pairs.globalNorm
        }
    }

    /// The update rules in double precision, written from their definitions.
    static func reference(_ optimizer: any Optimizer, steps: Int, rate: Double) throws -> [[Double]] {
        let problem = try Problem()
        return [problem.w, problem.b].map { tensor in
            var w = tensor.values.map(Double.init)
            var m = w.map { _ in 0.0 }
            var v = m
            for t in 1...steps {
                for i in w.indices {
                    let g = Double(Float(sin(Double(i + 3 * (t - 1)) + Double(tensor.count))))
                    if let sgd = optimizer as? SGD {
                        let decays = sgd.decays == .all || tensor.shape.count > 1
                        let d = g + (decays ? sgd.weightDecay : 0) * w[i]
                        m[i] = sgd.momentum * m[i] + d
                        w[i] -= rate * (sgd.nesterov ? d + sgd.momentum * m[i] : m[i])
                    } else if let adam = optimizer as? Adam {
                        let decay = adam.decays == .all || tensor.shape.count > 1 ? adam.weightDecay : 0
                        let d = g + (adam.decay == .inGradient ? decay * w[i] : 0)
                        m[i] = adam.beta1 * m[i] + (1 - adam.beta1) * d
                        v[i] = adam.beta2 * v[i] + (1 - adam.beta2) * d * d
                        let mHat = m[i] / (1 - pow(adam.beta1, Double(t)))
                        let vHat = v[i] / (1 - pow(adam.beta2, Double(t)))
                        if adam.decay == .decoupled { w[i] -= rate * decay * w[i] }
                        w[i] -= rate * mHat / (vHat.squareRoot() + adam.epsilon)
                    }
                }
            }
            return w
        }
    }

    @Test(
        arguments: [
            SGD(momentum: 0, nesterov: false), SGD(momentum: 0.9, nesterov: false, weightDecay: 1e-2),
            SGD(weightDecay: 5e-2),
            SGD(weightDecay: 5e-2, decays: .matricesOnly), Adam(), Adam(weightDecay: 0.1),
            Adam(weightDecay: 0.1, decay: .inGradient),
            Adam(beta1: 0.5, beta2: 0.99, epsilon: 1e-3, weightDecay: 0.1, decays: .matricesOnly),
        ] as [any Optimizer])
    func followsItsDefinition(_ optimizer: any Optimizer) throws {
        let problem = try Problem()
        for time in 0..<20 { _ = problem.step(optimizer, time, rate: 0.05) }
        for (found, expected) in zip([problem.w, problem.b], try Self.reference(optimizer, steps: 20, rate: 0.05)) {
            for (a, b) in zip(found.values, expected) { #expect(abs(Double(a) - b) < 2e-6 * max(1, abs(b))) }
        }
    }

    @Test(arguments: [SGD(weightDecay: 0.1), Adam(weightDecay: 0.1, decay: .inGradient)] as [any Optimizer])
    func parametersWithoutGradientStayBitIdentical(_ optimizer: any Optimizer) throws {
        let problem = try Problem()
        _ = problem.step(optimizer, 0, rate: 0.1)
        let state = problem.store.optimizerState(optimizer)
        let before = problem.b.literal
        for time in 1..<50 { _ = problem.step(optimizer, time, rate: 0.1, only: "w") }
        #expect(problem.b.literal == before)
        let after = problem.store.optimizerState(optimizer)
        for item in state.tensors where item.name.hasPrefix("b/") { #expect(after[item.name] == item.literal) }
        #expect(problem.w.updates == 50)
        #expect(problem.b.updates == 1)
    }

    @Test func statisticsAreLeftAlone() throws {
        let store = ParameterStore()
        let mean = try store.add("bn.mean", shape: [4], kind: .statistic) { [1, 2, 3, 4] }
        let gradient: [Float] = [1, 1, 1, 1]
        gradient.withUnsafeBufferPointer { g in
            SGD().step([ParameterGradient(mean, g.baseAddress!)], rate: 1)
        }
        #expect(Array(mean.values) == [1, 2, 3, 4])
    }

    @Test func clippingScalesToTheNorm() throws {
        let (clipped, plain) = (try Problem(), try Problem())
        let optimizer = SGD(momentum: 0, nesterov: false)
        let norm = clipped.step(optimizer, 0, rate: 1, clip: 0.5)
        _ = plain.step(optimizer, 0, rate: 0.5 / norm)
        let all = clipped.gradients.joined().reduce(0.0) { $0 + Double($1) * Double($1) }
        #expect(abs(norm - all.squareRoot()) < 1e-12)
        for (a, b) in zip(clipped.w.values, plain.w.values) { #expect(abs(a - b) < 1e-6) }
        let (loose, free) = (try Problem(), try Problem())
        _ = loose.step(optimizer, 0, rate: 1, clip: 100)
        _ = free.step(optimizer, 0, rate: 1)
        #expect(Array(loose.w.values) == Array(free.w.values))
    }

    @Test(arguments: [SGD(weightDecay: 0.01), Adam(weightDecay: 0.01)] as [any Optimizer])
    func resumesBitIdentically(_ optimizer: any Optimizer) throws {
        let unbroken = try Problem()
        for time in 0..<10 { _ = unbroken.step(optimizer, time, rate: 0.05, only: time % 3 == 0 ? nil : "w") }
        let (first, second) = (try Problem(), try Problem())
        for time in 0..<5 { _ = first.step(optimizer, time, rate: 0.05, only: time % 3 == 0 ? nil : "w") }
        try second.store.restore(SafeTensors(decoding: first.store.snapshot().encoded(), file: "w"))
        try second.store.restoreOptimizer(
            SafeTensors(decoding: first.store.optimizerState(optimizer).encoded(), file: "o"), optimizer)
        for time in 5..<10 { _ = second.step(optimizer, time, rate: 0.05, only: time % 3 == 0 ? nil : "w") }
        #expect(second.store.snapshot() == unbroken.store.snapshot())
        #expect(second.store.optimizerState(optimizer) == unbroken.store.optimizerState(optimizer))
    }

    @Test func restoringChecksShapesAndSlots() throws {
        let problem = try Problem()
        _ = problem.step(SGD(), 0, rate: 0.1)
        func message(_ body: () throws -> Void) -> String? {
            do { try body() } catch { return "\(error)" }
            return nil
        }
        #expect(
            message { try problem.store.restore(SafeTensors([NamedTensor("w", Literal([1, 2] as [Float]))])) }
                == "w: expected f32[3,7], found f32[2]")
        #expect(
            message { try problem.store.restore(SafeTensors([NamedTensor("x", Literal([1, 2] as [Float]))])) }
                == "x: the store holds no such parameter")
        #expect(
            message { try problem.store.restoreOptimizer(problem.store.optimizerState(SGD()), Adam()) }
                == "w: the optimizer keeps [mean, square], the saved state has 'momentum'")
        #expect(
            message { try problem.store.add("w", shape: [2]) { [0, 0] } }
                == "w: the store holds it with shape [3, 7], the graph asks for [2]")
    }

    @Test func averageFollowsItsDefinitionAndSwaps() throws {
        let problem = try Problem()
        let average = WeightAverage(decay: 0.8)
        var expected = [Double]()
        for time in 0..<30 {
            _ = problem.step(SGD(), time, rate: 0.1)
            average.update(from: problem.store)
            let decay = min(0.8, Double(1 + time) / Double(10 + time))
            let values = problem.w.values.map(Double.init)
            expected = time == 0 ? values : zip(expected, values).map { decay * $0 + (1 - decay) * $1 }
        }
        let live = problem.store.snapshot()
        let saved = try SafeTensors(decoding: average.snapshot().encoded(), file: "a")
        average.swap(with: problem.store)
        for (a, b) in zip(problem.w.values, expected) { #expect(abs(Double(a) - b) < 1e-5) }
        average.swap(with: problem.store)
        #expect(problem.store.snapshot() == live)
        let copy = WeightAverage(decay: 0.8)
        try copy.restore(saved, of: problem.store)
        copy.update(from: problem.store)
        average.update(from: problem.store)
        #expect(copy.snapshot() == average.snapshot())
    }
}

@Suite struct RateScheduleTests {
    @Test func valuesAtTheKnots() {
        let cosine = RateSchedule.cosine(from: 0.4, to: 0.1)
        #expect(cosine.value(at: 0, of: 100) == 0.4)
        #expect(abs(cosine.value(at: 50, of: 100) - 0.25) < 1e-12)
        #expect(abs(cosine.value(at: 100, of: 100) - 0.1) < 1e-12)
        #expect(abs(RateSchedule.linear(from: 0.5).value(at: 30, of: 100) - 0.35) < 1e-12)
        let step = RateSchedule.step(from: 1, factor: 0.1, at: [0.5, 0.75])
        #expect([0, 49, 50, 75].map { step.value(at: $0, of: 100) }.elementsEqual([1, 1, 0.1, 0.1 * 0.1]))
        #expect(RateSchedule.constant(3).value(at: 7, of: 0) == 3)
        let warm = RateSchedule.warmUp(steps: 4, then: .linear(from: 1))
        let values = (0...104).map { warm.value(at: $0, of: 104) }
        for (value, expected) in zip(values.prefix(5), [0.2, 0.4, 0.6, 0.8, 1]) {
            #expect(abs(value - expected) < 1e-12)
        }
        #expect(abs(values[54] - 0.5) < 1e-12)
        #expect(values[104] == 0)
    }

    @Test func survivesJSON() throws {
        let schedule = RateSchedule.warmUp(steps: 5, start: 0.1, then: .step(from: 1, factor: 0.2, at: [0.3]))
        #expect(try JSONDecoder().decode(RateSchedule.self, from: JSONEncoder().encode(schedule)) == schedule)
    }

    /// Long enough that the threads share it; the last share ends in the middle of a vector.
    @Test(arguments: [
        AnyOptimizer.sgd(SGD(weightDecay: 1e-3)), .sgd(SGD(nesterov: false)), .adam(Adam(weightDecay: 1e-2)),
    ]) func threadsDoNotChangeResults(optimizer: AnyOptimizer) throws {
        let count = 40_007
        let gradient = (0..<count).map { Float(sin(Double($0))) }
        func state(_ pool: ThreadPool?) throws -> [SafeTensors] {
            let store = ParameterStore()
            let w = try store.add("w", shape: [count]) { (0..<count).map { Float(cos(Double($0))) } }
            gradient.withUnsafeBufferPointer { values in
                for _ in 0..<3 { optimizer.step([ParameterGradient(w) { values }], rate: 0.1, clip: 5, pool: pool) }
            }
            return [store.snapshot(), store.optimizerState(optimizer)]
        }
        let alone = try state(nil)
        for threads in 1...3 { #expect(try state(ThreadPool(threads: threads)) == alone, "\(threads) threads") }
    }
}
