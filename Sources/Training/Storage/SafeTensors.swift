import Foundation
public import IR

/// A tensor with a name, as files hold it.
public struct NamedTensor: Hashable, Sendable {
    public var name: String
    public var literal: Literal

    public init(_ name: String, _ literal: Literal) {
        self.name = name
        self.literal = literal
    }
}

/// The contents of a file in the safetensors format: named tensors and text.
///
/// Layout: an 8-byte little-endian length, a JSON header of that length, then the tensors back to back.
///
/// - Source: the format's description in the safetensors project; the header is padded so that data start on 8 bytes.
public struct SafeTensors: Sendable, Hashable {
    public var tensors: [NamedTensor]
    public var metadata: [String: String]

    public init(_ tensors: [NamedTensor] = [], metadata: [String: String] = [:]) {
        self.tensors = tensors
        self.metadata = metadata
    }

    public subscript(name: String) -> Literal? { tensors.first { $0.name == name }?.literal }

    /// The bytes of the file; tensors keep their order.
    public func encoded() -> [UInt8] {
        var entries: [String] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key < $1.key }.map { "\(quote($0.key)):\(quote($0.value))" }
            entries.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
        }
        var offset = 0
        for tensor in tensors {
            let literal = tensor.literal
            let shape = literal.shape.map(String.init).joined(separator: ",")
            let end = offset + literal.bytes.count
            entries.append(
                "\(quote(tensor.name)):{\"dtype\":\"\(Self.names[literal.element]!)\",\"shape\":[\(shape)],"
                    + "\"data_offsets\":[\(offset),\(end)]}")
            offset = end
        }
        var header = Array("{\(entries.joined(separator: ","))}".utf8)
        header += repeatElement(UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
        var bytes = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
        bytes.reserveCapacity(8 + header.count + offset)
        bytes += header
        for tensor in tensors { bytes += tensor.literal.bytes }
        return bytes
    }

    /// - Throws: ``StorageError`` when the header or the data are not as the format demands.
    public init(decoding bytes: [UInt8], file: String) throws(StorageError) {
        func damaged(_ message: String) -> StorageError { StorageError(.damaged, message, file: file) }
        guard bytes.count >= 8 else { throw damaged("a safetensors file starts with 8 bytes, found \(bytes.count)") }
        let stated = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard stated <= UInt64(bytes.count - 8) else {
            throw damaged("the header is said to take \(stated) bytes, but only \(bytes.count - 8) follow")
        }
        let length = Int(stated)
        let start = 8 + length
        let header: [String: Entry]
        do {
            header = try JSONDecoder().decode([String: Entry].self, from: Data(bytes[8..<start]))
        } catch {
            throw damaged("the header is not the JSON of a safetensors file: \(Self.summary(error))")
        }
        var spans: [(name: String, tensor: Entry.Tensor)] = []
        var metadata: [String: String] = [:]
        for (name, entry) in header {
            switch entry {
            case .metadata(let text) where name == "__metadata__": metadata = text
            case .tensor(let tensor) where name != "__metadata__": spans.append((name, tensor))
            default: throw damaged("the header's entry \(quote(name)) is of the wrong kind")
            }
        }
        // Tensors without elements share an offset with their neighbour; the name decides then.
        spans.sort { ($0.tensor.start, $0.tensor.end, $0.name) < ($1.tensor.start, $1.tensor.end, $1.name) }
        var tensors: [NamedTensor] = []
        var offset = 0
        for (name, tensor) in spans {
            guard let element = Self.names.first(where: { $0.value == tensor.dtype })?.key else {
                throw StorageError(
                    .unsupported, "tensor \(quote(name)) has the unknown type \(tensor.dtype)", file: file)
            }
            var size = element.size
            for dimension in tensor.shape {
                let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
                guard dimension >= 0, !overflow else {
                    throw damaged("tensor \(quote(name)) has the impossible shape \(tensor.shape)")
                }
                size = product
            }
            guard tensor.start == offset, tensor.end >= tensor.start, tensor.end - tensor.start == size else {
                throw damaged(
                    "tensor \(quote(name)) of shape \(tensor.shape) should lie at \(offset)..<\(offset + size), "
                        + "found \(tensor.start)..<\(tensor.end)")
            }
            guard tensor.end <= bytes.count - start else {
                throw damaged(
                    "tensor \(quote(name)) ends at \(tensor.end), but the data hold \(bytes.count - start) bytes: "
                        + "the file was cut short")
            }
            let data = Array(bytes[start + tensor.start..<start + tensor.end])
            tensors.append(NamedTensor(name, Literal(element, tensor.shape, bytes: data)))
            offset = tensor.end
        }
        guard offset == bytes.count - start else {
            throw damaged("\(bytes.count - start - offset) bytes follow the last tensor")
        }
        self.init(tensors, metadata: metadata)
    }

    public init(contentsOf path: String) throws(StorageError) {
        try self.init(decoding: FileWriting.read(path), file: path)
    }

    /// Writes the file; one of that name is replaced at once.
    public func write(to path: String) throws(StorageError) { try FileWriting.replace(path, with: encoded()) }

    private static let names: [ElementType: String] = [
        .f64: "F64", .f32: "F32", .f16: "F16", .bf16: "BF16", .i64: "I64", .i32: "I32", .i16: "I16", .i8: "I8",
        .u64: "U64", .u32: "U32", .u16: "U16", .u8: "U8", .bool: "BOOL",
    ]

    static func summary(_ error: any Error) -> String {
        switch error {
        case DecodingError.dataCorrupted(let context), DecodingError.keyNotFound(_, let context),
            DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
        default: return "\(error)"
        }
    }

    private enum Entry: Decodable {
        struct Tensor: Decodable {
            var dtype: String
            var shape: [Int]
            var offsets: [Int]
            var start: Int { offsets[0] }
            var end: Int { offsets[1] }

            enum CodingKeys: String, CodingKey {
                case dtype, shape
                case offsets = "data_offsets"
            }
        }
        case tensor(Tensor)
        case metadata([String: String])

        init(from decoder: any Decoder) throws {
            if let text = try? decoder.singleValueContainer().decode([String: String].self) {
                self = .metadata(text)
                return
            }
            let tensor = try Tensor(from: decoder)
            guard tensor.offsets.count == 2, tensor.offsets[0] >= 0 else {
                throw DecodingError.dataCorrupted(
                    .init(codingPath: decoder.codingPath, debugDescription: "data_offsets are two positions"))
            }
            self = .tensor(tensor)
        }
    }
}

private func quote(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": quoted += "\\\""
        case "\\": quoted += "\\\\"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: quoted.unicodeScalars.append(scalar)
        }
    }
    return quoted + "\""
}
