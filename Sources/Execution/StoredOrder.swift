import IR

extension TensorType {
    /// Where each element, in row-major order, is stored; `nil` when the layout is row-major.
    private var storedOrder: [Int]? {
        guard case .channelsLast(let padding) = layout, rank > 1 else { return nil }
        let (n, c) = (shape[0], shape[1])
        let pixels = shape[2...].reduce(1, *)
        let pitch = (c + padding - 1) / padding * padding
        var order: [Int] = []
        order.reserveCapacity(count)
        for i in 0..<n { for k in 0..<c { for p in 0..<pixels { order.append((i * pixels + p) * pitch + k) } } }
        return order
    }

    /// Calls `body` with the byte offset of every element in row-major order and in memory.
    fileprivate func forEachStored(_ body: (_ plain: Int, _ stored: Int) -> Void) {
        guard let order = storedOrder else { return }
        for (index, place) in order.enumerated() { body(index * element.size, place * element.size) }
    }
}

extension Literal {
    /// The tensor that lies in memory in the layout of `type`.
    init(_ type: TensorType, stored: UnsafeRawBufferPointer) {
        guard type.layout != .plain else {
            self.init(type.element, type.shape, bytes: Array(stored))
            return
        }
        let size = type.element.size
        var plain = [UInt8](repeating: 0, count: type.count * size)
        type.forEachStored { index, place in
            for byte in 0..<size { plain[index + byte] = stored[place + byte] }
        }
        self.init(type.element, type.shape, bytes: plain)
    }

    /// Writes the elements in the layout of `type`, padding being zero.
    func store(as type: TensorType, to memory: UnsafeMutableRawPointer) {
        bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            guard type.layout != .plain else { return memory.copyMemory(from: base, byteCount: bytes.count) }
            let size = type.element.size
            memory.initializeMemory(as: UInt8.self, repeating: 0, count: type.byteCount)
            type.forEachStored { index, place in (memory + place).copyMemory(from: base + index, byteCount: size) }
        }
    }
}
