import RealModule

/// Pulls mixture weights towards what the discretizer would choose.
///
/// - Source: Maile et al., *On Constrained Optimization in Differentiable NAS*, 2021, section 4.3. The norm, not its
///   square, as in the authors' code: the pull does not fade near a vertex.
public struct Proximity: Hashable, Sendable, Codable {
    public var strength: Double

    public init(strength: Double = 0.1) { self.strength = strength }

    /// `(ρ/2) · progress · |m - D(m)|₂` and its gradient with respect to m, D held constant.
    public func callAsFunction(
        _ m: [[Double]], _ discretizer: Discretizer, _ layout: Discretizer.Layout, progress: Double
    ) -> (value: Double, gradient: [[Double]]) {
        let vertex = discretizer.vertex(m, layout)
        let scale = strength / 2 * progress
        let difference = zip(m, vertex).map { zip($0, $1).map { $0 - $1 } }
        let length = difference.joined().reduce(0) { $0 + $1 * $1 }.squareRoot()
        guard length > 0 else { return (0, m.map { $0.map { _ in 0 } }) }
        return (scale * length, difference.map { $0.map { scale * $0 / length } })
    }
}

/// The alternating direction method of multipliers between mixture weights and a discrete copy.
///
/// The penalty is `(ρ/2) |m - Z + U|₂`; every few architecture steps `Z ← D(m + U)` and `U ← U + m - Z`.
///
/// - Source: Maile et al., 2021, section 4.3, in the scaled form.
public struct ADMM: Hashable, Sendable, Codable {
    public var strength: Double
    /// Architecture steps between two updates of Z and U.
    public var interval: Int
    public private(set) var z: [[Double]]
    public private(set) var u: [[Double]]
    private var steps = 0

    public init(strength: Double = 0.1, interval: Int = 10, start m: [[Double]]) {
        self.strength = strength
        self.interval = interval
        z = m
        u = m.map { $0.map { _ in 0 } }
    }

    public func penalty(_ m: [[Double]]) -> (value: Double, gradient: [[Double]]) {
        let difference = m.indices.map { i in m[i].indices.map { m[i][$0] - z[i][$0] + u[i][$0] } }
        let length = difference.joined().reduce(0) { $0 + $1 * $1 }.squareRoot()
        guard length > 0 else { return (0, m.map { $0.map { _ in 0 } }) }
        return (strength / 2 * length, difference.map { $0.map { strength / 2 * $0 / length } })
    }

    /// Counts an architecture step, and updates Z and U when it is time.
    public mutating func didStep(_ m: [[Double]], _ discretizer: Discretizer, _ layout: Discretizer.Layout) {
        steps += 1
        guard steps % interval == 0 else { return }
        let sum = zip(m, u).map { zip($0, $1).map { $0 + $1 } }
        z = discretizer.vertex(sum, layout)
        u = m.indices.map { i in m[i].indices.map { u[i][$0] + m[i][$0] - z[i][$0] } }
    }
}

/// The penalty for one node's two slots choosing the same input and operator: `λ Σ ⟨slot 0, slot 1⟩`.
///
/// - Source: Vahdat et al., *UNAS*, CVPR 2020, appendix; 0.2 in the released code.
public struct DuplicatePenalty: Hashable, Sendable, Codable {
    public var strength: Double

    public init(strength: Double = 0.2) { self.strength = strength }

    /// The choice points of a node's two slots, whose inputs and operators are chosen apart.
    public struct Slots: Sendable {
        public var inputs: (Int, Int)
        public var operators: (Int, Int)

        public init(inputs: (Int, Int), operators: (Int, Int)) { (self.inputs, self.operators) = (inputs, operators) }
    }

    /// The penalty where a slot is the outer product of an input and an operator: `λ Σ ⟨in0, in1⟩ ⟨op0, op1⟩`.
    public func callAsFunction(_ m: [[Double]], slots: [Slots]) -> (value: Double, gradient: [[Double]]) {
        var gradient = m.map { $0.map { _ in 0.0 } }, value = 0.0
        func dot(_ pair: (Int, Int)) -> Double { zip(m[pair.0], m[pair.1]).reduce(0) { $0 + $1.0 * $1.1 } }
        for slot in slots {
            let inputs = dot(slot.inputs), operators = dot(slot.operators)
            value += strength * inputs * operators
            for (pair, factor) in [(slot.inputs, operators), (slot.operators, inputs)] {
                for i in m[pair.0].indices {
                    gradient[pair.0][i] += strength * factor * m[pair.1][i]
                    gradient[pair.1][i] += strength * factor * m[pair.0][i]
                }
            }
        }
        return (value, gradient)
    }

    /// - Parameter pairs: the choice points of each node's two slots.
    public func callAsFunction(_ m: [[Double]], pairs: [(Int, Int)]) -> (value: Double, gradient: [[Double]]) {
        var gradient = m.map { $0.map { _ in 0.0 } }, value = 0.0
        for (a, b) in pairs {
            for i in m[a].indices {
                value += strength * m[a][i] * m[b][i]
                gradient[a][i] += strength * m[b][i]
                gradient[b][i] += strength * m[a][i]
            }
        }
        return (value, gradient)
    }
}
