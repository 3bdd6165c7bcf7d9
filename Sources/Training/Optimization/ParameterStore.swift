public import IR

/// The parameters of a network or supernet by name, in the order in which they were added.
///
/// One task owns a store. Graphs of any number of paths refer to its parameters by name; a step updates those that its
/// graph has a gradient for and no others.
public final class ParameterStore {
    public private(set) var tensors: [StoredTensor] = []
    private var positions: [String: Int] = [:]

    public init() {}

    public var count: Int { tensors.count }
    /// Number of learned values.
    public var weightCount: Int { tensors.reduce(0) { $0 + ($1.kind == .weight ? $1.count : 0) } }

    public subscript(name: String) -> StoredTensor? { positions[name].map { tensors[$0] } }

    /// The parameter of that name, made with the initial values of `values` when new.
    ///
    /// - Throws: ``ShapeError`` when it exists with another shape.
    @discardableResult
    public func add(
        _ name: String, shape: [Int], kind: StoredTensor.Kind = .weight, values: () -> [Float]
    ) throws(ShapeError) -> StoredTensor {
        if let known = self[name] {
            guard known.shape == shape else {
                throw ShapeError("the store holds it with shape \(known.shape), the graph asks for \(shape)", at: name)
            }
            return known
        }
        let tensor = StoredTensor(name, shape: shape, kind: kind)
        tensor.assign(values())
        positions[name] = tensors.count
        tensors.append(tensor)
        return tensor
    }

    /// Copies of all values.
    public func snapshot() -> SafeTensors { SafeTensors(tensors.map { NamedTensor($0.name, $0.literal) }) }

    /// Sets the values of the parameters named in `saved`; others stay.
    ///
    /// - Throws: ``ShapeError`` for a name the store does not hold, another shape or type; nothing is changed then.
    public func restore(_ saved: SafeTensors) throws(ShapeError) {
        let pairs = try matched(saved.tensors)
        for (tensor, literal) in pairs { tensor.assign(literal.floats) }
    }

    /// Makes every parameter of a file, keeping values the store already has a place for.
    ///
    /// - Throws: ``ShapeError`` for a parameter that is not `f32` or has another shape here.
    public func load(
        _ saved: SafeTensors, kind: (String) -> StoredTensor.Kind = { _ in .weight }
    ) throws(ShapeError) {
        for tensor in saved.tensors {
            try add(tensor.name, shape: tensor.literal.shape, kind: kind(tensor.name)) { tensor.literal.floats }
        }
        try restore(saved)
    }

    /// The optimizer's arrays of the parameters that were ever updated, and how often they were.
    public func optimizerState(_ optimizer: some Optimizer) -> SafeTensors {
        var state = SafeTensors()
        for tensor in tensors where tensor.updates > 0 {
            for (slot, buffer) in zip(optimizer.slots, tensor.slots) {
                state.tensors.append(NamedTensor("\(tensor.name)/\(slot)", Literal(Array(buffer), shape: tensor.shape)))
            }
            state.tensors.append(NamedTensor("\(tensor.name)/updates", Literal([tensor.updates], shape: [])))
        }
        return state
    }

    /// Puts back what ``optimizerState(_:)`` gave; parameters it does not name start afresh.
    ///
    /// - Throws: ``ShapeError`` for a state of another store or optimizer; nothing is changed then.
    public func restoreOptimizer(_ state: SafeTensors, _ optimizer: some Optimizer) throws(ShapeError) {
        var found: [String: [String: Literal]] = [:]
        for item in state.tensors {
            let slash = item.name.lastIndex(of: "/") ?? item.name.startIndex
            let (name, slot) = (String(item.name[..<slash]), String(item.name[slash...].dropFirst()))
            guard let tensor = self[name] else { throw ShapeError("the store holds no such parameter", at: name) }
            guard slot == "updates" ? item.literal.count == 1 : optimizer.slots.contains(slot) else {
                throw ShapeError(
                    "the optimizer keeps [\(optimizer.slots.joined(separator: ", "))], the saved state has '\(slot)'",
                    at: name)
            }
            guard slot == "updates" || item.literal.shape == tensor.shape else {
                throw ShapeError("expected '\(slot)' of shape \(tensor.shape), found \(item.literal.shape)", at: name)
            }
            found[name, default: [:]][slot] = item.literal
        }
        for (name, slots) in found.sorted(by: { $0.key < $1.key })
        where slots.count != optimizer.slots.count + 1 {
            throw ShapeError("the saved state lacks a part; it has \(slots.keys.sorted())", at: name)
        }
        for tensor in tensors {
            tensor.dropSlots()
            guard let slots = found[tensor.name] else { continue }
            tensor.prepareSlots(optimizer.slots.count)
            for (slot, buffer) in zip(optimizer.slots, tensor.slots) {
                if let literal = slots[slot] { _ = buffer.update(fromContentsOf: literal.floats) }
            }
            tensor.updates = slots["updates"].map { Int($0.integers[0]) } ?? 0
        }
    }

    private func matched(_ saved: [NamedTensor]) throws(ShapeError) -> [(StoredTensor, Literal)] {
        var pairs: [(StoredTensor, Literal)] = []
        for item in saved {
            guard let tensor = self[item.name] else {
                throw ShapeError("the store holds no such parameter", at: item.name)
            }
            guard tensor.shape == item.literal.shape, item.literal.element == .f32 else {
                throw ShapeError(
                    "expected \(TensorType(.f32, tensor.shape)), found \(item.literal.type)", at: item.name)
            }
            pairs.append((tensor, item.literal))
        }
        return pairs
    }
}
