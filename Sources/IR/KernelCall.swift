public import CKernels

/// A call of a C kernel of the executor: the function with its integers, reals and scratch memory.
public struct KernelCall: Sendable {
    public typealias Function = @convention(c) (UnsafePointer<MartletCall>?) -> Void

    public var function: Function
    public var integers: [Int64]
    public var reals: [Double]
    /// Times the kernel is run over all parts, with a barrier between two.
    public var phases: Int
    private var scratch: @Sendable ([Int64], Int) -> Int
    /// False for kernels too small to be split over threads.
    public var isParallel: Bool

    public init(
        _ function: @escaping Function, integers: [Int] = [], reals: [Double] = [], phases: Int = 1,
        scratchBytes: Int = 0,
        isParallel: Bool = true
    ) {
        self.function = function
        self.integers = integers.map(Int64.init)
        self.reals = reals
        self.phases = phases
        scratch = { _, _ in scratchBytes }
        self.isParallel = isParallel
    }

    /// A call whose scratch memory depends on the number of parts.
    ///
    /// - Parameter scratch: the bytes needed for the integers given, and the number of parts.
    public init(
        _ function: @escaping Function, integers: [Int], reals: [Double] = [], phases: Int = 1,
        scratch: @escaping @Sendable ([Int64], Int) -> Int
    ) {
        self.init(function, integers: integers, reals: reals, phases: phases)
        self.scratch = scratch
    }

    /// The scratch memory that a run with this many parts needs.
    public func scratchBytes(parts: Int) -> Int { scratch(integers, isParallel ? parts : 1) }
}
