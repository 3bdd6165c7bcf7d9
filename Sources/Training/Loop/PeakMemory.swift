#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What the system says about the memory of this process.
public enum PeakMemory {
    /// The most memory that the process ever had, in bytes.
    public static var bytes: Int {
        var usage = rusage()
        // RUSAGE_SELF, which is 0 everywhere but an enumeration in some of the C libraries.
        guard getrusage(0, &usage) == 0 else { return 0 }
        #if canImport(Darwin)
            return usage.ru_maxrss
        #else
            return usage.ru_maxrss * 1024
        #endif
    }
}
