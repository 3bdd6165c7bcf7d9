import CKernels
import IR

/// Runs a one-phase kernel over flat arrays on the calling thread; results may be operands.
func call(
    _ kernel: KernelCall.Function, on operands: [UnsafeRawPointer?], into results: [UnsafeRawPointer?],
    integers: [Int], reals: [Double]
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
                    kernel(&record)
                }
            }
        }
    }
}
