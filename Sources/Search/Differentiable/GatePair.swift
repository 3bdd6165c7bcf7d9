import IR
import RealModule

/// Two alternatives of a choice point, drawn by their probabilities, of which one is active.
///
/// Gradients flow to the two alone, and the rest of the distribution stays as it is. Serves operators (ProxylessNAS)
/// and subsets of operators (NSE) alike.
///
/// - Source: Cai et al., *ProxylessNAS*, ICLR 2019, section 3.2.2.
public struct GatePair: Hashable, Sendable {
    /// The two alternatives; distinct.
    public let first, second: Int
    /// Their probabilities, renormalised over the pair.
    public let probabilities: (Double, Double)
    /// Whether `first` runs.
    public let firstIsActive: Bool

    public var active: Int { firstIsActive ? first : second }

    /// Draws two distinct alternatives without replacement, then the active one.
    public init(_ distribution: Categorical, _ random: inout RandomSource) {
        var weights = distribution.probabilities
        first = random.categorical(weights)
        weights[first] = 0
        second = random.categorical(weights)
        let p = distribution.probabilities, total = p[first] + p[second]
        probabilities = (p[first] / total, p[second] / total)
        firstIsActive = random.uniform() < probabilities.0
    }

    /// The gradient with respect to the logits when the loss's gradient with respect to the gates of first and second
    /// is given: `∂L/∂alpha_i = Σ_j ∂L/∂g_j p_j (δ_ij - p_i)` over the pair.
    public func gradient(_ gates: (Double, Double), count: Int) -> [Double] {
        var result = [Double](repeating: 0, count: count)
        let mean = probabilities.0 * gates.0 + probabilities.1 * gates.1
        result[first] = probabilities.0 * (gates.0 - mean)
        result[second] = probabilities.1 * (gates.1 - mean)
        return result
    }

    /// Shifts the pair's new logits so that their total mass is what it was: every other probability is unchanged.
    public func rescaled(_ new: [Double], from old: [Double]) -> [Double] {
        func logSum(_ x: [Double]) -> Double {
            let top = max(x[first], x[second])
            return top + Double.log(Double.exp(x[first] - top) + Double.exp(x[second] - top))
        }
        let shift = logSum(old) - logSum(new)
        var result = new
        result[first] += shift
        result[second] += shift
        return result
    }

    public static func == (a: GatePair, b: GatePair) -> Bool {
        a.first == b.first && a.second == b.second && a.probabilities == b.probabilities
            && a.firstIsActive == b.firstIsActive
    }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(first)
        hasher.combine(second)
        hasher.combine(firstIsActive)
    }
}
