import CKernels
import Execution
import IR

/// Runs a one-phase elementwise kernel over flat arrays; results may be operands. The threads of a pool share what is long
/// enough for them; the result does not depend on them.
func call(
    _ kernel: @escaping KernelCall.Function, on operands: [UnsafeRawPointer?], into results: [UnsafeRawPointer?],
    integers: [Int], reals: [Double], sharing count: Int = 0, pool: ThreadPool? = nil
) {
    let results = results.map { UnsafeMutableRawPointer(mutating: $0) }
    let integers = integers.map { Int64($0) }
    operands.withUnsafeBufferPointer { operands in
        results.withUnsafeBufferPointer { results in
            integers.withUnsafeBufferPointer { integers in
                reals.withUnsafeBufferPointer { reals in
                    var record = MartletCall(
                        in: operands.baseAddress, out: results.baseAddress, p: integers.baseAddress,
                        f: reals.baseAddress,
                        scratch: nil, phase: 0, part: 0, parts: 1)
                    if let pool, count >= 1 << 14 { pool.run(kernel, &record) } else { kernel(&record) }
                }
            }
        }
    }
}
