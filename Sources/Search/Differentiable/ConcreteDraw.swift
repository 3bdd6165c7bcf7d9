import RealModule

/// One draw from the relaxed and the discrete distribution of a choice point, from the same noise.
///
/// With `q = softmax(logits)` and Gumbel noise `g = -log(-log u)`: `z = argmax(log q + g)`, `zeta = softmax((log q + g)/tau)`,
/// and `zeta~`, the relaxed sample given `z`, reparameterised. Using one `u` makes `zeta~` equal `zeta` in value; they
/// differ in their derivatives alone, which is what the control variate needs.
///
/// - Source: Tucker et al., *REBAR*, NeurIPS 2017; Vahdat et al., *UNAS*, CVPR 2020, section 3.2 and appendix A.
public struct ConcreteDraw: Sendable {
    public let q: [Double]
    public let tau: Double
    /// The index of the discrete sample.
    public let z: Int
    /// The relaxed sample.
    public let zeta: [Double]
    /// `zeta~` written out from the conditional noise.
    public let conditionalZeta: [Double]
    private let logV: [Double]

    /// - Precondition: `noise` has a number in (0, 1) for every logit.
    public init(logits: [Double], tau: Double, noise u: [Double]) {
        precondition(u.count == logits.count, "a draw needs one noise value a logit")
        self.tau = tau
        let q = softmax(logits)
        self.q = q
        let logU = u.map { Double.log($0) }
        // log q + g = -log(-log u / q): the exponential clocks of the categorical.
        let perturbed = zip(logU, q).map { -Double.log(-$0 / $1) }
        let k = argmax(perturbed)
        z = k
        zeta = softmax(perturbed.map { $0 / tau })
        // v_k = u_k^(1/q_k), log v_i = log u_i - q_i log v_k; v is then held constant.
        let logVk = logU[k] / q[k]
        var logV = zip(logU, q).map { $0 - $1 * logVk }
        logV[k] = logVk
        self.logV = logV
        let conditional = logits.indices.map { i in
            i == k ? -Double.log(-logVk) : -Double.log(-logV[i] / q[i] - logVk)
        }
        conditionalZeta = softmax(conditional.map { $0 / tau })
    }

    /// The gradient with respect to the logits of `f(zeta)` whose gradient with respect to zeta is given.
    public func pathwise(_ gradient: [Double]) -> [Double] {
        // zeta = softmax((logits + g)/tau): the normalisation of q cancels in the softmax.
        let mean = zip(zeta, gradient).reduce(0) { $0 + $1.0 * $1.1 }
        return zip(zeta, gradient).map { $0 * ($1 - mean) / tau }
    }

    /// The gradient with respect to the logits of `f(zeta~)` with the conditional noise held constant.
    public func conditionalPathwise(_ gradient: [Double]) -> [Double] {
        let mean = zip(conditionalZeta, gradient).reduce(0) { $0 + $1.0 * $1.1 }
        // The winner's clock does not depend on q; for the others d g~ / d q = -(1/A) log v / q², A = exp(-g~).
        let byQ = q.indices.map { i -> Double in
            if i == z { return 0 }
            let rate = -logV[i] / q[i] - logV[z]
            let slope = -(logV[i] / (q[i] * q[i])) / rate
            return conditionalZeta[i] * (gradient[i] - mean) / tau * slope
        }
        let total = zip(q, byQ).reduce(0) { $0 + $1.0 * $1.1 }
        return zip(q, byQ).map { $0 * ($1 - total) }
    }

    /// The gradient of ``logDensity(_:logits:tau:)`` at this draw with respect to the logits, the draw held constant: what a
    /// score function of the relaxed sample multiplies. It has more variance than ``pathwise(_:)``.
    ///
    /// - Source: Xie et al., *SNAS*, ICLR 2019, released code.
    public var densityScore: [Double] {
        // log p = log Γ(n) + (n-1) log tau + Σ log q - ... - n log Σ q zeta^-tau, with the normalisation of q cancelled.
        let parts = softmax(zip(q, zeta).map { Double.log($0) - tau * Double.log(max($1, 1e-300)) })
        return parts.map { 1 - Double(parts.count) * $0 }
    }

    /// `log p(zeta)` of the concrete density on the simplex, with the sample clamped away from its border.
    ///
    /// - Source: Maddison et al., ICLR 2017, equation 4: `(n-1)! tau^(n-1) Π (q zeta^(-tau-1)) / (Σ q zeta^-tau)^n`.
    public static func logDensity(_ zeta: [Double], logits: [Double], tau: Double) -> Double {
        let n = Double(zeta.count), q = softmax(logits)
        let logZeta = zeta.map { Double.log(max($0, 1e-300)) }
        let sum = zip(q, logZeta).reduce(0) { $0 + $1.0 * Double.exp(-tau * $1.1) }
        let product = zip(q, logZeta).reduce(0) { $0 + Double.log($1.0) - (tau + 1) * $1.1 }
        return Double.logGamma(n) + (n - 1) * Double.log(tau) + product - n * Double.log(sum)
    }
}

/// Unbiased and biased estimates of `∇ E[f(z)]` with respect to the logits of a choice point.
///
/// - Source: section 15.3 of the factoring: one draw of noise serves all of them.
public enum ScoreFunction: Hashable, Sendable, Codable {
    /// `(f(z) - baseline) ∇ log q(z)` with a running mean as the baseline; zero for plain REINFORCE.
    case movingAverage(decay: Double)
    /// `f(zeta)`'s pathwise gradient alone: biased.
    case none
    /// `(f(z) - f(zeta)) ∇ log q(z) + ∇ f(zeta) - ∇ f(zeta~)`: unbiased, with little variance.
    case rebar

    /// - Parameters:
    ///   - hard: f at the discrete sample.
    ///   - soft: f at the relaxed sample, and its gradient with respect to that.
    public func gradient(
        _ draw: ConcreteDraw, hard: Double, soft: (value: Double, gradient: [Double]), baseline: Double = 0
    ) -> [Double] {
        let score = draw.q.enumerated().map { ($0 == draw.z ? 1 : 0) - $1 }
        switch self {
        case .movingAverage: return score.map { (hard - baseline) * $0 }
        case .none: return draw.pathwise(soft.gradient)
        case .rebar:
            let path = draw.pathwise(soft.gradient), conditional = draw.conditionalPathwise(soft.gradient)
            return score.indices.map { (hard - soft.value) * score[$0] + path[$0] - conditional[$0] }
        }
    }
}
