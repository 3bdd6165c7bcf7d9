import IR
import Training

/// A relaxed supernet as a bilevel problem: weights are those of its store, the architecture is its mixture weights.
///
/// Values of the weights go into the store while a product is taken; ``restore()`` puts back what was there, bit for bit.
struct SupernetProblem: BilevelProblem {
    /// The graphs of a relaxed supernet, made when first used.
    final class Programs {
        private let form: Graph
        let sites: [String]
        let store: ParameterStore
        private let backend: Backend
        private var steps: [MixtureStep.Derivatives: MixtureStep] = [:]
        private var secondOrder: MixtureProducts?
        /// The parameters that have a gradient, in the order of flat vectors.
        private(set) var weights: [StoredTensor] = []

        init(_ form: Graph, sites: [String], store: ParameterStore, backend: Backend) {
            (self.form, self.sites, self.store, self.backend) = (form, sites, store, backend)
            weights = store.tensors.filter { $0.kind == .weight && form.parameterNames.contains($0.name) }
        }

        func step(_ derivatives: MixtureStep.Derivatives) throws -> MixtureStep {
            if let known = steps[derivatives] { return known }
            let made = try MixtureStep(form, sites: sites, store: store, backend: backend, derivatives: derivatives)
            steps[derivatives] = made
            return made
        }

        func products() throws -> MixtureProducts {
            if let secondOrder { return secondOrder }
            let made = try MixtureProducts(form, sites: sites, weights: weights, store: store, backend: backend)
            secondOrder = made
            return made
        }

        var values: [Double] { weights.flatMap { $0.values.map(Double.init) } }

        func load(_ values: [Double]) {
            var start = 0
            for tensor in weights {
                for index in 0..<tensor.count { tensor.values[index] = Float(values[start + index]) }
                start += tensor.count
            }
        }

        /// The gradients of a step as one vector; zero for weights that the loss does not depend on.
        func flat(_ step: MixtureStep) -> [Double] {
            let byName = Dictionary(step.weightGradients.map { ($0.tensor.name, $0) }) { first, _ in first }
            return weights.flatMap { tensor -> [Double] in
                guard let gradient = byName[tensor.name]?.gradient else {
                    return [Double](repeating: 0, count: tensor.count)
                }
                return (0..<tensor.count).map { Double(gradient[$0]) }
            }
        }
    }

    let programs: Programs
    /// How many alternatives each site has; `a` is their weights in one vector.
    let counts: [Int]
    let outerBatch: Batch
    /// The batch of an inner derivative, by how many were asked for before; independent ones keep the series unbiased.
    let innerBatch: (Int) -> Batch
    let random: RandomSource
    /// The step of central differences along a vector, over its length; `nil` takes products from the graph transform.
    let differences: Double?
    private let original: [Double]
    private var asked = 0
    private(set) var outerLoss = 0.0

    init(
        _ programs: Programs, counts: [Int], outer: Batch, random: RandomSource, differences: Double? = nil,
        inner: @escaping (Int) -> Batch
    ) {
        self.differences = differences
        (self.programs, self.counts, outerBatch, innerBatch) = (programs, counts, outer, inner)
        self.random = random
        original = programs.values
    }

    /// Puts the weights back.
    func restore() { programs.load(original) }

    func rows(_ a: [Double]) -> [[Double]] {
        var start = 0
        return counts.map { count in
            defer { start += count }
            return Array(a[start..<(start + count)])
        }
    }

    mutating func outerGradients(_ w: [Double], _ a: [Double]) throws -> (w: [Double], a: [Double]) {
        programs.load(w)
        defer { restore() }
        let step = try programs.step(.both)
        try step.run(outerBatch, mixture: rows(a), random: random)
        outerLoss = step.loss
        return (programs.flat(step), step.mixtureGradient.flatMap { $0 })
    }

    mutating func innerGradient(_ w: [Double], _ a: [Double]) throws -> [Double] {
        programs.load(w)
        defer { restore() }
        let step = try programs.step(.weights)
        try step.run(nextInner(), mixture: rows(a), random: random)
        return programs.flat(step)
    }

    mutating func innerArchitectureGradient(_ w: [Double], _ a: [Double]) throws -> [Double] {
        programs.load(w)
        defer { restore() }
        let step = try programs.step(.mixture)
        // Both sides of a difference quotient see one batch.
        try step.run(innerBatch(asked), mixture: rows(a), random: random)
        return step.mixtureGradient.flatMap { $0 }
    }

    mutating func hessianProduct(_ w: [Double], _ a: [Double], _ v: [Double]) throws -> [Double] {
        defer { restore() }
        if let differences {
            let length = v.reduce(0) { $0 + $1 * $1 }.squareRoot()
            guard length > 0 else { return v }
            let step = differences / length, batch = nextInner(), program = try programs.step(.weights)
            func gradient(_ sign: Double) throws -> [Double] {
                programs.load(zip(w, v).map { $0 + sign * step * $1 })
                try program.run(batch, mixture: rows(a), random: random)
                return programs.flat(program)
            }
            let up = try gradient(1), down = try gradient(-1)
            return zip(up, down).map { ($0 - $1) / (2 * step) }
        }
        programs.load(w)
        return try programs.products().run(nextInner(), mixture: rows(a), direction: v, random: random).hessian
    }

    mutating func mixedProduct(_ w: [Double], _ a: [Double], _ v: [Double]) throws -> [Double] {
        programs.load(w)
        defer { restore() }
        return try programs.products().run(nextInner(), mixture: rows(a), direction: v, random: random).mixed
            .flatMap { $0 }
    }

    private mutating func nextInner() -> Batch {
        defer { asked += 1 }
        return innerBatch(asked)
    }
}

extension Graph {
    fileprivate var parameterNames: Set<String> { Set(parameters.map(\.name)) }
}
