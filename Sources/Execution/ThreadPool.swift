public import CKernels
import COpenBLAS
public import IR

/// The threads that run the kernels of every executor of a task: the only threads of the numeric core.
///
/// One executor uses a pool at a time. Between runs, threads sleep.
public final class ThreadPool {
    let pointer: OpaquePointer
    public let threads: Int

    /// - Throws: ``ExecutionError`` when the system gives no threads.
    public init(threads: Int) throws(ExecutionError) {
        guard threads >= 1 && threads <= 1024 else {
            throw ExecutionError(.resources, "a pool needs 1 to 1024 threads, found \(threads)")
        }
        guard let pointer = martlet_pool_create(Int32(threads)) else {
            throw ExecutionError(.resources, "the system has no room for \(threads) threads; ask for fewer")
        }
        martlet_blas_initialize()
        self.pointer = pointer
        self.threads = threads
    }

    /// Runs one call of a one-phase kernel, each thread its share; returns when all are done.
    public func run(_ kernel: @escaping KernelCall.Function, _ call: inout MartletCall) {
        var step = MartletStep(function: kernel, call: call, phases: 1, is_parallel: 1)
        martlet_pool_run(pointer, &step, 1, nil)
    }

    deinit { martlet_pool_destroy(pointer) }
}
