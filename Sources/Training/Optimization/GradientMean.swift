import CKernels

/// The mean of the gradients of several batches, in memory of its own.
final class GradientMean {
    private var sums: [(tensor: StoredTensor, values: UnsafeMutableBufferPointer<Float>)] = []
    private var positions: [String: Int] = [:]
    private var isUsed: [Bool] = []

    deinit { for sum in sums { sum.values.baseAddress.map { UnsafeMutableRawPointer($0).deallocate() } } }

    /// The gradients added since the first of a step.
    var gradients: [ParameterGradient] {
        zip(sums, isUsed).compactMap { sum, isUsed in
            isUsed ? ParameterGradient(sum.tensor) { UnsafeBufferPointer(sum.values) } : nil
        }
    }

    /// Adds `share` times the gradients, to nothing when they are a step's first.
    func add(_ gradients: [ParameterGradient], share: Double, isFirst: Bool) {
        if isFirst { isUsed = isUsed.map { _ in false } }
        for gradient in gradients {
            let position = position(of: gradient.tensor)
            let sum = UnsafeRawPointer(sums[position].values.baseAddress)
            call(
                martlet_blend, on: [sum, UnsafeRawPointer(gradient.gradient)], into: [sum],
                integers: [gradient.tensor.count], reals: [isUsed[position] ? 1 : 0, share])
            isUsed[position] = true
        }
    }

    private func position(of tensor: StoredTensor) -> Int {
        if let known = positions[tensor.name] { return known }
        positions[tensor.name] = sums.count
        sums.append((tensor, aligned(tensor.count, zero: 0)))
        isUsed.append(false)
        return sums.count - 1
    }
}
