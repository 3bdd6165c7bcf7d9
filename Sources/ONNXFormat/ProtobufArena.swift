import CONNX
import Glibc

/// Memory for protobuf-c messages under construction; it lives as long as the arena.
final class ProtobufArena {
    private var blocks: [UnsafeMutableRawPointer] = []

    deinit { for block in blocks { free(block) } }

    private func allocate(_ bytes: Int) -> UnsafeMutableRawPointer {
        guard let block = calloc(max(bytes, 1), 1) else { preconditionFailure("out of memory writing an ONNX model") }
        blocks.append(block)
        return block
    }

    /// A message that `initialise` (protobuf-c's generated function) has filled with defaults.
    func message<Message>(
        _ initialise: (UnsafeMutablePointer<Message>?) -> Void
    ) -> UnsafeMutablePointer<Message> {
        let message = allocate(MemoryLayout<Message>.size).bindMemory(to: Message.self, capacity: 1)
        initialise(message)
        return message
    }

    func text(_ string: String) -> UnsafeMutablePointer<CChar> {
        let bytes = Array(string.utf8CString)
        return array(bytes)
    }

    func bytes(_ bytes: [UInt8]) -> ProtobufCBinaryData {
        ProtobufCBinaryData(len: bytes.count, data: array(bytes))
    }

    func array<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
        let size = elements.count * MemoryLayout<Element>.stride
        let block = allocate(size).bindMemory(to: Element.self, capacity: elements.count)
        elements.withUnsafeBytes {
            UnsafeMutableRawPointer(block).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(block), byteCount: size)
        }
        return block
    }

    func pointers<Element>(
        _ elements: [UnsafeMutablePointer<Element>]
    ) -> UnsafeMutablePointer<UnsafeMutablePointer<Element>?> {
        array(elements.map { Optional($0) })
    }
}
