import CKernels
public import Execution
import RealModule

/// Which parameters weight decay acts on.
public enum DecayRule: String, Codable, Hashable, Sendable {
    case all
    /// Tensors of two or more dimensions: filters and matrices, not biases or normalisation.
    case matricesOnly

    func applies(to tensor: StoredTensor) -> Bool { self == .all || tensor.shape.count > 1 }
}

/// The rule that turns a gradient into an update. It touches nothing but the tensor it is given: a parameter without a
/// gradient sees no decay and no momentum.
public protocol Optimizer: Codable, Hashable, Sendable {
    /// Names of the arrays kept beside each parameter, for checkpoints.
    var slots: [String] { get }

    /// Updates one parameter with `scale` times the gradient, on the threads of a pool where there is one.
    func update(
        _ tensor: StoredTensor, gradient: UnsafePointer<Float>, rate: Double, scale: Double, pool: ThreadPool?)
}

extension Optimizer {
    /// Updates one parameter with `scale` times the gradient.
    public func update(_ tensor: StoredTensor, gradient: UnsafePointer<Float>, rate: Double, scale: Double) {
        update(tensor, gradient: gradient, rate: rate, scale: scale, pool: nil)
    }
}

/// Stochastic gradient descent: `v = mu v + (g + lambda w)`, `w -= rate v` (Nesterov: `rate (g + lambda w + mu v)`).
///
/// - Source: Sutskever, Martens, Dahl, Hinton, *On the importance of initialization and momentum in deep learning*,
///   ICML 2013; the form in which the rate stays outside of the momentum.
public struct SGD: Optimizer {
    public var momentum: Double
    public var nesterov: Bool
    public var weightDecay: Double
    public var decays: DecayRule

    public init(momentum: Double = 0.9, nesterov: Bool = true, weightDecay: Double = 0, decays: DecayRule = .all) {
        self.momentum = momentum
        self.nesterov = nesterov
        self.weightDecay = weightDecay
        self.decays = decays
    }

    public var slots: [String] { ["momentum"] }

    public func update(
        _ tensor: StoredTensor, gradient: UnsafePointer<Float>, rate: Double, scale: Double, pool: ThreadPool?
    ) {
        tensor.prepareSlots(1)
        let (w, v) = (UnsafeRawPointer(tensor.values.baseAddress), UnsafeRawPointer(tensor.slots[0].baseAddress))
        call(
            martlet_sgd, on: [w, UnsafeRawPointer(gradient), v], into: [w, v],
            integers: [tensor.count, nesterov ? 1 : 0, 0],
            reals: [rate, momentum, decays.applies(to: tensor) ? weightDecay : 0, scale], sharing: tensor.count,
            pool: pool)
        tensor.updates += 1
    }
}

/// Adam, with weight decay inside of the gradient or decoupled from it.
///
/// - Source: Kingma and Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, algorithm 1; decoupled decay:
///   Loshchilov and Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019.
public struct Adam: Optimizer {
    public enum Decay: String, Codable, Hashable, Sendable { case decoupled, inGradient }

    public var beta1: Double
    public var beta2: Double
    public var epsilon: Double
    public var weightDecay: Double
    public var decay: Decay
    public var decays: DecayRule

    public init(
        beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0,
        decay: Decay = .decoupled, decays: DecayRule = .all
    ) {
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.decay = decay
        self.decays = decays
    }

    public var slots: [String] { ["mean", "square"] }

    public func update(
        _ tensor: StoredTensor, gradient: UnsafePointer<Float>, rate: Double, scale: Double, pool: ThreadPool?
    ) {
        tensor.prepareSlots(2)
        tensor.updates += 1
        let time = tensor.updates
        let w = UnsafeRawPointer(tensor.values.baseAddress)
        let (m, v) = (UnsafeRawPointer(tensor.slots[0].baseAddress), UnsafeRawPointer(tensor.slots[1].baseAddress))
        call(
            martlet_adam, on: [w, UnsafeRawPointer(gradient), m, v], into: [w, m, v],
            integers: [tensor.count, decay == .decoupled ? 1 : 0],
            reals: [
                rate, beta1, beta2, epsilon, decays.applies(to: tensor) ? weightDecay : 0, scale,
                1 - Double.pow(beta1, time), 1 - Double.pow(beta2, time),
            ], sharing: tensor.count, pool: pool)
    }
}

/// A gradient with the parameter it belongs to.
public struct ParameterGradient {
    public let tensor: StoredTensor
    private let values: () -> UnsafeBufferPointer<Float>

    /// - Parameter values: Where the gradient lies now; asked again in every step.
    public init(_ tensor: StoredTensor, _ values: @escaping () -> UnsafeBufferPointer<Float>) {
        self.tensor = tensor
        self.values = values
    }

    public init(_ tensor: StoredTensor, _ values: UnsafePointer<Float>) {
        self.init(tensor) { UnsafeBufferPointer(start: values, count: tensor.count) }
    }

    /// The gradient, of the parameter's shape in row-major order.
    public var gradient: UnsafePointer<Float> {
        let buffer = values()
        guard let start = buffer.baseAddress, buffer.count == tensor.count else {
            preconditionFailure("the gradient of \(tensor.name) has \(buffer.count) values, not \(tensor.count)")
        }
        return start
    }
}

extension Sequence<ParameterGradient> {
    /// The Euclidean norm of all gradients taken as one vector.
    public var globalNorm: Double {
        reduce(0) { $0 + martlet_sum_of_squares($1.gradient, Int64($1.tensor.count)) }.squareRoot()
    }
}

extension Optimizer {
    /// Updates every parameter that has a gradient, in order.
    ///
    /// - Parameters:
    ///   - norm: The global norm of the gradients, where it is known; else it is taken when needed.
    ///   - clip: The largest global norm of the gradients; longer ones are scaled down to it.
    ///   - pool: The threads to use; the result is the same for any number of them, bit for bit.
    public func step(
        _ gradients: [ParameterGradient], rate: Double, norm: Double? = nil, clip: Double? = nil,
        pool: ThreadPool? = nil
    ) {
        var scale = 1.0
        if let clip {
            let norm = norm ?? gradients.globalNorm
            if norm > clip { scale = clip / norm }
        }
        for item in gradients where item.tensor.kind == .weight {
            update(item.tensor, gradient: item.gradient, rate: rate, scale: scale, pool: pool)
        }
    }
}
