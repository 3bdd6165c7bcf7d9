public import CKernels

/// A call of a C kernel of the executor: the function with its integers, reals and scratch memory.
public struct KernelCall: Sendable {
    public typealias Function = @convention(c) (UnsafePointer<MartletCall>?) -> Void

    public var function: Function
    public var integers: [Int64]
    public var reals: [Double]
    /// Times the kernel is run over all parts, with a barrier between two.
    public var phases: Int
    public var scratchBytes: Int
    /// False for kernels too small to be split over threads.
    public var isParallel: Bool

    public init(
        _ function: @escaping Function, integers: [Int] = [], reals: [Double] = [], phases: Int = 1, scratchBytes: Int = 0,
        isParallel: Bool = true
    ) {
        self.function = function
        self.integers = integers.map(Int64.init)
        self.reals = reals
        self.phases = phases
        self.scratchBytes = scratchBytes
        self.isParallel = isParallel
    }
}
