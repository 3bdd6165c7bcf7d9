public import Execution
import RealModule

/// One of the optimizers, chosen by a setting.
public enum AnyOptimizer: Optimizer {
    case sgd(SGD)
    case adam(Adam)

    public var slots: [String] {
        switch self {
        case .sgd(let it): it.slots
        case .adam(let it): it.slots
        }
    }

    public func update(
        _ tensor: StoredTensor, gradient: UnsafePointer<Float>, rate: Double, scale: Double, pool: ThreadPool?
    ) {
        switch self {
        case .sgd(let it): it.update(tensor, gradient: gradient, rate: rate, scale: scale, pool: pool)
        case .adam(let it): it.update(tensor, gradient: gradient, rate: rate, scale: scale, pool: pool)
        }
    }

    /// The weights after one step that is not kept, momentum and decay as the step would apply them.
    ///
    /// - Parameter scale: The factor of the gradient, from clipping.
    public func virtualStep(_ tensor: StoredTensor, gradient: [Double], rate: Double, scale: Double) -> [Double] {
        switch self {
        case .sgd(let it):
            let decay = it.decays.applies(to: tensor) ? it.weightDecay : 0
            let velocity = tensor.slots.first
            return tensor.values.indices.map { index in
                let w = Double(tensor.values[index])
                let g = scale * gradient[index] + decay * w
                let v = it.momentum * Double(velocity?[index] ?? 0) + g
                return w - rate * (it.nesterov ? g + it.momentum * v : v)
            }
        case .adam(let it):
            let decay = it.decays.applies(to: tensor) ? it.weightDecay : 0
            let isInside = it.decay == .inGradient, time = tensor.updates + 1
            let first = tensor.slots.first, second = tensor.slots.dropFirst().first
            return tensor.values.indices.map { index in
                let w = Double(tensor.values[index])
                let g = scale * gradient[index] + (isInside ? decay * w : 0)
                let m = it.beta1 * Double(first?[index] ?? 0) + (1 - it.beta1) * g
                let v = it.beta2 * Double(second?[index] ?? 0) + (1 - it.beta2) * g * g
                let size = (v / (1 - Double.pow(it.beta2, time))).squareRoot() + it.epsilon
                return w - rate * m / (1 - Double.pow(it.beta1, time)) / size - (isInside ? 0 : rate * decay * w)
            }
        }
    }
}
