import IR

extension TensorType {
    /// Indices are `i32` or `i64`.
    func requireIndices(for op: some Operator) throws(ShapeError) {
        guard element == .i64 || element == .i32 else {
            throw ShapeError("\(Swift.type(of: op).mnemonic) expects indices of type i64 or i32, found \(self)")
        }
    }
}

/// The position an index means along `size` elements: negative ones count from the back, and what is outside is taken
/// as the nearest inside.
func nearest(_ index: Int64, _ size: Int) -> Int {
    let position = index < 0 ? index &+ Int64(size) : index
    return Int(min(max(position, 0), Int64(size - 1)))
}

/// The same as C: declares `name` as the position that the expression means.
func nearestText(_ name: String, _ index: String, _ size: Int) -> String {
    "ptrdiff_t \(name) = (ptrdiff_t)\(index); if (\(name) < 0) \(name) += \(size); "
        + "\(name) = \(name) < 0 ? 0 : \(name) > \(size - 1) ? \(size - 1) : \(name);"
}

extension ReferenceTensor {
    /// The elements at the given positions, as a tensor of the given type.
    func picked(_ type: TensorType, _ positions: [Int]) -> ReferenceTensor {
        switch storage {
        case .real(let values): ReferenceTensor(type, positions.map { values[$0] })
        case .integer(let values): ReferenceTensor(type, integers: positions.map { values[$0] })
        }
    }

    /// This tensor with elements put or combined at positions, in order.
    func putting(
        _ updates: ReferenceTensor, at positions: [Int], _ real: (R, R) -> R, _ integer: (Int64, Int64) -> Int64
    )
        -> ReferenceTensor
    {
        switch (storage, updates.storage) {
        case (.real(var values), _):
            let new = updates.reals
            for (k, position) in positions.enumerated() { values[position] = real(values[position], new[k]) }
            return ReferenceTensor(type, values)
        case (.integer(var values), _):
            let new = updates.integers
            for (k, position) in positions.enumerated() { values[position] = integer(values[position], new[k]) }
            return ReferenceTensor(type, integers: values)
        }
    }
}
