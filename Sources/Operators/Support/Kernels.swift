import CKernels
import IR

extension TensorType {
    /// The dimensions as they lie in memory, outermost first.
    var memoryOrder: [Int] {
        layout == .plain || rank < 2 ? Array(0..<rank) : [0] + Array(2..<rank) + [1]
    }

    /// True when no padding lies between the elements.
    var isDense: Bool { storedCount == count }

    /// How far apart in memory the elements of each dimension are; for dense types.
    var memoryStrides: [Int] {
        let order = memoryOrder, strides = TensorType.strides(order.map { shape[$0] })
        var result = [Int](repeating: 1, count: rank)
        for (position, dimension) in order.enumerated() { result[dimension] = strides[position] }
        return result
    }

    /// True for images of reals that lie in memory as `N H W C`: the only form that image kernels take.
    var isKernelImage: Bool {
        rank == 4 && element == .f32 && isDense && (layout != .plain || shape[1] == 1 || shape[2] * shape[3] == 1)
    }

    /// True for reals in row-major order.
    var isKernelArray: Bool { element == .f32 && (layout == .plain || rank < 2) }

    /// Strides by which this operand is read while walking `result` in its order of memory; 0 where it is broadcast.
    func kernelStrides(in result: TensorType) -> [Int] {
        let strides = memoryStrides, missing = result.rank - rank
        return result.memoryOrder.map { d in d < missing || shape[d - missing] == 1 ? 0 : strides[d - missing] }
    }
}

extension KernelCall {
    /// The kernel of a function of one operand, with its opcode.
    static func unary(_ code: Int, _ reals: [Double], _ x: TensorType, _ y: TensorType) -> KernelCall? {
        guard x == y, x.element == .f32, x.isDense else { return nil }
        return KernelCall(martlet_unary, integers: [code, y.count], reals: (reals + [0, 0]).prefix(2).map { $0 })
    }

    /// The kernel of a function of two operands that broadcast, with its opcode.
    static func binary(_ code: Int, _ x: [TensorType], _ y: TensorType) -> KernelCall? {
        guard (x + [y]).allSatisfy({ $0.element == .f32 && $0.isDense }), y.rank <= MARTLET_MAX_RANK else { return nil }
        let dimensions = y.memoryOrder.map { y.shape[$0] }
        return KernelCall(
            martlet_binary,
            integers: [code, y.rank] + dimensions + x[0].kernelStrides(in: y) + x[1].kernelStrides(in: y))
    }

    /// A copy that reads element `i` of the result at `offset + i · strides` (logical dimensions) of the operand.
    static func copy(_ x: TensorType, _ y: TensorType, strides: [Int], offset: Int = 0) -> KernelCall? {
        guard x.isDense, y.isDense, x.element == y.element, y.rank <= MARTLET_MAX_RANK else { return nil }
        let order = y.memoryOrder, own = y.memoryStrides
        return KernelCall(
            martlet_copy,
            integers: [y.element.size, y.rank, offset, 0] + order.map { y.shape[$0] } + order.map { strides[$0] }
                + order.map { own[$0] })
    }

    /// A copy of the memory as it is.
    static func copy(_ x: TensorType, _ y: TensorType) -> KernelCall? {
        guard x.byteCount == y.byteCount, x.layout == y.layout || x.rank < 2 || y.rank < 2 else { return nil }
        return KernelCall(martlet_copy, integers: [1, 1, 0, 0, y.byteCount, 1, 1])
    }

    /// A call on a window over an image; `extra` follows the geometry.
    static func pool(
        _ kernel: @escaping Function, _ window: Window, _ image: TensorType, _ output: TensorType, extra: [Int] = [0],
        operands: [TensorType]
    ) -> KernelCall? {
        guard (operands + [image, output]).allSatisfy(\.isKernelImage),
            window.kernel[0] * window.kernel[1] <= MARTLET_MAX_TAPS
        else { return nil }
        return KernelCall(
            kernel,
            integers: image.shape + window.kernel + window.stride + window.dilation + window.padding
                + output.shape[2...] + extra
        ) { martlet_pool_scratch($0, Int32($1)) }
    }
}

extension Conv2D {
    /// The integers of the convolution kernels; `nil` when no kernel takes these types.
    func kernelIntegers(image: TensorType, filter: TensorType, output: TensorType, hasBias: Bool = false) -> [Int]? {
        guard image.isKernelImage, output.isKernelImage, filter.isKernelArray,
            filter.shape[2] * filter.shape[3] <= MARTLET_MAX_TAPS
        else { return nil }
        return geometry(image, filter, output, hasBias: hasBias)
    }
    func geometry(_ image: TensorType, _ filter: TensorType, _ output: TensorType, hasBias: Bool = false) -> [Int] {
        image.shape + [filter.shape[0], filter.shape[2], filter.shape[3]] + stride + dilation + padding
            + [groups, output.shape[2], output.shape[3], hasBias ? 1 : 0]
    }
}
