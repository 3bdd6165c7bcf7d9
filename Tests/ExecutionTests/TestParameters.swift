import Execution
import IR

/// Parameters in aligned memory.
final class TestParameters: ParameterStorage {
    private var memory: [String: UnsafeMutableRawBufferPointer] = [:]

    init(_ literals: [String: Literal]) {
        for (name, literal) in literals {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: literal.bytes.count, alignment: 64)
            buffer.copyBytes(from: literal.bytes)
            memory[name] = buffer
        }
    }

    deinit { for buffer in memory.values { buffer.deallocate() } }

    func memory(ofParameter name: String) -> UnsafeMutableRawBufferPointer? { memory[name] }
}
