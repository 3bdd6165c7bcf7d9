import IR

/// How architecture parameters become the mixture weights of a choice point.
///
/// The supernet's graph takes mixture weights as inputs and gives the loss's gradient with respect to them; everything
/// between parameters and weights happens here, on a handful of numbers, so that a relaxation is a few lines and works
/// with every architecture gradient.
public enum Relaxation: Hashable, Sendable, Codable {
    /// `softmax(temperature · alpha)`; the factor multiplies, as in RL-DARTS.
    ///
    /// - Source: Liu et al., *DARTS*, ICLR 2019, equation 2; Miao et al., 2021.
    case softmax(temperature: Double = 1)
    /// `clamp(alpha, 0, 1)`, with nothing shared between the operators of an edge.
    ///
    /// - Source: Maile et al., *On Constrained Optimization in Differentiable NAS*, 2021, the CRB activation.
    case clamped
    /// A draw from the concrete distribution: `softmax((alpha + g) / tau)`.
    ///
    /// - Source: Maddison et al., *The Concrete Distribution*, ICLR 2017; Xie et al., *SNAS*, ICLR 2019.
    case concrete(tau: Double)

    /// The weights of one choice point for uniform noise `u` in (0, 1), which only sampled relaxations read.
    public func weights(_ alpha: [Double], noise u: [Double] = []) -> [Double] {
        switch self {
        case .softmax(let temperature): search_softmax(alpha.map { $0 * temperature })
        case .clamped: alpha.map { min(max($0, 0), 1) }
        case .concrete(let tau): ConcreteDraw(logits: alpha, tau: tau, noise: u).zeta
        }
    }

    /// The gradient with respect to `alpha` of a loss whose gradient with respect to the weights is `gradient`.
    public func pullback(_ gradient: [Double], _ alpha: [Double], noise u: [Double] = []) -> [Double] {
        switch self {
        case .softmax(let temperature):
            Categorical(logits: alpha.map { $0 * temperature }).pullback(gradient).map { $0 * temperature }
        case .clamped: zip(alpha, gradient).map { $0 > 0 && $0 < 1 ? $1 : 0 }
        case .concrete(let tau): ConcreteDraw(logits: alpha, tau: tau, noise: u).pathwise(gradient)
        }
    }

    /// Whether the weights depend on noise.
    public var isSampled: Bool { if case .concrete = self { true } else { false } }

    /// The initial parameters of one choice point among `count` operators.
    public func initial(_ count: Int, _ random: inout RandomSource) -> [Double] {
        switch self {
        case .softmax, .concrete: (0..<count).map { _ in 1e-3 * random.normal() }
        case .clamped: (0..<count).map { _ in 1 / Double(count) + 1e-4 * random.normal() }
        }
    }
}

// Within the enum the case of the same name hides the function.
private func search_softmax(_ x: [Double]) -> [Double] { softmax(x) }
