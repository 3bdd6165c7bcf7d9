import CKernels

/// Memory that executors plan their values into; it grows and never shrinks.
///
/// Executors that run one after another, such as those of a new path every step, share one arena. What one of them left
/// there, its outputs included, lasts until the next one runs.
public final class Arena {
    private(set) var base: UnsafeMutableRawPointer
    public private(set) var bytes: Int
    /// Changes whenever the memory moves.
    private(set) var generation = 0

    public init() {
        base = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
        bytes = 0
    }

    deinit { release() }

    func reserve(_ needed: Int) throws(ExecutionError) {
        if needed <= bytes { return }
        guard let memory = martlet_arena_allocate(needed) else {
            throw ExecutionError(
                .resources, "the system has no room for an arena of \(needed) bytes; try a smaller batch")
        }
        release()
        base = memory
        bytes = needed
        generation += 1
    }

    private func release() {
        if bytes == 0 { base.deallocate() } else { martlet_arena_free(base) }
    }
}
