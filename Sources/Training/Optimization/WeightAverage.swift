import CKernels
public import IR

/// An exponential moving average of a store's parameters.
///
/// Early on the decay is `(1 + t) / (10 + t)`, so that the first values do not linger.
///
/// - Source: Polyak and Juditsky, *Acceleration of Stochastic Approximation by Averaging*, SIAM J. Control Optim. 30,
///   1992.
public final class WeightAverage {
    public let decay: Double
    public private(set) var updates = 0
    private var averages: [StoredTensor] = []
    private var positions: [String: Int] = [:]

    public init(decay: Double) {
        precondition((0..<1).contains(decay), "an average's decay lies in [0, 1)")
        self.decay = decay
    }

    /// Moves the average towards the store's present values. A parameter starts with its value when first seen.
    public func update(from store: ParameterStore) {
        let decay = min(self.decay, Double(1 + updates) / Double(10 + updates))
        for tensor in store.tensors {
            if let position = positions[tensor.name] {
                let average = UnsafeRawPointer(averages[position].values.baseAddress)
                call(
                    martlet_blend, on: [average, UnsafeRawPointer(tensor.values.baseAddress)], into: [average],
                    integers: [tensor.count], reals: [decay, 1 - decay])
            } else {
                start(tensor.name, tensor.shape, tensor.kind, Array(tensor.values))
            }
        }
        updates += 1
    }

    /// Exchanges the store's values with the average; a second call undoes the first.
    public func swap(with store: ParameterStore) {
        for average in averages {
            guard let tensor = store[average.name] else { continue }
            let kept = Array(tensor.values)
            _ = tensor.values.update(fromContentsOf: average.values)
            average.assign(kept)
        }
    }

    /// The averages, with the number of updates in the metadata.
    public func snapshot() -> SafeTensors {
        SafeTensors(averages.map { NamedTensor($0.name, $0.literal) }, metadata: ["updates": String(updates)])
    }

    /// - Throws: ``ShapeError`` when `saved` is no snapshot of an average over this store.
    public func restore(_ saved: SafeTensors, of store: ParameterStore) throws(ShapeError) {
        guard let updates = saved.metadata["updates"].flatMap({ Int($0) }) else {
            throw ShapeError("a saved average states its number of updates; found \(saved.metadata.keys.sorted())")
        }
        for item in saved.tensors where store[item.name]?.shape != item.literal.shape || item.literal.element != .f32 {
            throw ShapeError("the store holds no such parameter of type \(item.literal.type)", at: item.name)
        }
        (averages, positions) = ([], [:])
        for item in saved.tensors {
            start(item.name, item.literal.shape, store[item.name]?.kind ?? .weight, item.literal.floats)
        }
        self.updates = updates
    }

    private func start(_ name: String, _ shape: [Int], _ kind: StoredTensor.Kind, _ values: [Float]) {
        let average = StoredTensor(name, shape: shape, kind: kind)
        average.assign(values)
        positions[name] = averages.count
        averages.append(average)
    }
}
