import RealModule

/// A bilevel problem as the hypergradient sees it: an inner loss over weights, an outer loss, both smooth.
///
/// Weights and architecture parameters are flat vectors. Each call may draw a minibatch of its own.
public protocol BilevelProblem {
    /// `∇_w` and `∇_a` of the outer (validation) loss.
    mutating func outerGradients(_ w: [Double], _ a: [Double]) throws -> (w: [Double], a: [Double])
    /// `∇_w` of the inner (training) loss.
    mutating func innerGradient(_ w: [Double], _ a: [Double]) throws -> [Double]
    /// `∇_a` of the inner (training) loss.
    mutating func innerArchitectureGradient(_ w: [Double], _ a: [Double]) throws -> [Double]
    /// `∇²_ww L_inner · v`, exactly.
    mutating func hessianProduct(_ w: [Double], _ a: [Double], _ v: [Double]) throws -> [Double]
    /// `∇_a ⟨∇_w L_inner, v⟩`, exactly.
    mutating func mixedProduct(_ w: [Double], _ a: [Double], _ v: [Double]) throws -> [Double]
}

/// How the outer loss reaches the architecture through the weights: one family for DARTS (both orders), iDARTS and
/// every meta-gradient.
///
///     v0 = ∇_w L_outer,  v_{k+1} = v_k - γ H v_k,  s = Σ_{k ≤ K} v_k
///     ∇_a = ∇_a L_outer - γ (∂² L_inner / ∂a ∂w) s
///
/// `partial` drops the second term (first-order DARTS); `K = 0` at the virtual weights is second-order DARTS; `K > 0` at
/// the current weights is iDARTS.
///
/// - Source: Liu et al., *DARTS*, ICLR 2019, section 2.3; Zhang et al., *iDARTS*, ICML 2021, section 3.
public struct Hypergradient: Hashable, Sendable, Codable {
    /// How the mixed product is taken.
    public enum MixedTerm: Hashable, Sendable, Codable {
        case exact
        /// Central differences along the vector with a step of `epsilon / |vector|`.
        case finiteDifference(epsilon: Double)
    }
    /// Where the outer gradients are taken.
    public enum Point: Hashable, Sendable, Codable {
        case current
        /// After one step of the weights' optimizer that is not kept.
        case virtual
    }

    /// Terms of the Neumann series beyond the first; `nil` drops the implicit term.
    public var terms: Int?
    public var point: Point
    public var mixedTerm: MixedTerm
    /// The series' γ; the weights' learning rate where left out.
    public var gamma: Double?

    public init(terms: Int?, at point: Point = .current, mixedTerm: MixedTerm = .exact, gamma: Double? = nil) {
        self.terms = terms
        self.point = point
        self.mixedTerm = mixedTerm
        self.gamma = gamma
    }

    /// The step of difference quotients in the place of exact products.
    public var differences: Double? { if case .finiteDifference(let epsilon) = mixedTerm { epsilon } else { nil } }

    public static let partial = Hypergradient(terms: nil)
    public static let virtualStep = Hypergradient(terms: 0, at: .virtual, mixedTerm: .finiteDifference(epsilon: 0.01))
    public static func neumann(_ terms: Int) -> Hypergradient { Hypergradient(terms: terms) }

    public struct Estimate: Hashable, Sendable {
        public var gradient: [Double]
        /// Terms that were added; fewer than asked for when the series began to diverge.
        public var terms: Int
        public var diverged: Bool
    }

    /// The gradient of the outer loss with respect to the architecture.
    ///
    /// - Parameters:
    ///   - rate: the weights' learning rate.
    ///   - virtualWeights: the weights after one step of their optimizer, momentum and decay included; read when the
    ///     point is virtual.
    public func estimate<P: BilevelProblem>(
        _ problem: inout P, _ w: [Double], _ a: [Double], step rate: Double, virtualWeights: [Double]? = nil
    ) throws -> Estimate {
        let step = gamma ?? rate
        let here = point == .virtual ? virtualWeights ?? w : w
        let outer = try problem.outerGradients(here, a)
        guard let terms else { return Estimate(gradient: outer.a, terms: 0, diverged: false) }
        var v = outer.w, sum = outer.w, done = 0, growths = 0
        for _ in 0..<terms {
            let product = try problem.hessianProduct(w, a, v)
            let next = zip(v, product).map { $0 - step * $1 }
            // The series converges for steps below 2 / λ_max; two growths in a row mean that it does not.
            growths = norm(next) > norm(v) ? growths + 1 : 0
            if growths == 2 { return try finish(&problem, w, a, outer.a, sum, step, done, diverged: true) }
            v = next
            sum = zip(sum, v).map { $0 + $1 }
            done += 1
        }
        return try finish(&problem, w, a, outer.a, sum, step, done, diverged: false)
    }

    private func finish<P: BilevelProblem>(
        _ problem: inout P, _ w: [Double], _ a: [Double], _ direct: [Double], _ s: [Double], _ step: Double,
        _ terms: Int,
        diverged: Bool
    ) throws -> Estimate {
        let mixed: [Double]
        switch mixedTerm {
        case .exact: mixed = try problem.mixedProduct(w, a, s)
        case .finiteDifference(let scale):
            let length = norm(s)
            guard length > 0 else { return Estimate(gradient: direct, terms: terms, diverged: diverged) }
            // The step follows the vector that is used, and the weights are perturbed on copies: nothing is left over.
            let epsilon = scale / length
            let up = try problem.innerArchitectureGradient(zip(w, s).map { $0 + epsilon * $1 }, a)
            let down = try problem.innerArchitectureGradient(zip(w, s).map { $0 - epsilon * $1 }, a)
            mixed = zip(up, down).map { ($0 - $1) / (2 * epsilon) }
        }
        return Estimate(gradient: zip(direct, mixed).map { $0 - step * $1 }, terms: terms, diverged: diverged)
    }
}

private func norm(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }
