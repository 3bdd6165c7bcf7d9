import Foundation

/// Files in the IDX format of the MNIST family.
///
/// - Source: LeCun, Cortes, Burges, *The MNIST database of handwritten digits*, section "File formats".
enum IDX {
    /// Pixels `[N, H, W]` of an image file.
    static func images(_ url: URL) throws(DataError) -> (count: Int, height: Int, width: Int, pixels: [UInt8]) {
        let (sizes, bytes) = try read(url, dimensions: 3, kind: "images")
        guard sizes[1] > 0, sizes[2] > 0 else {
            throw DataError(.wrongFormat, "images of \(sizes[1])x\(sizes[2]) pixels", file: url.path)
        }
        return (sizes[0], sizes[1], sizes[2], bytes)
    }

    static func labels(_ url: URL) throws(DataError) -> [Int32] {
        try read(url, dimensions: 1, kind: "labels").bytes.map { Int32($0) }
    }

    private static func read(
        _ url: URL, dimensions: Int, kind: String
    ) throws(DataError) -> (sizes: [Int], bytes: [UInt8]) {
        let file = try CompressedFile.read(url)
        let header = 4 + 4 * dimensions
        guard file.count >= header else {
            throw DataError(
                .truncated, "an IDX file of \(kind) starts with \(header) bytes, found \(file.count) in all",
                file: url.path)
        }
        func word(_ at: Int) -> Int { file[at..<at + 4].reduce(0) { $0 << 8 | Int($1) } }
        let magic = 0x0800 | dimensions
        guard word(0) == magic else {
            throw DataError(
                .wrongFormat,
                "expected the magic number \(hexadecimal(magic)) of IDX \(kind), found \(hexadecimal(word(0)))",
                file: url.path)
        }
        let sizes = (0..<dimensions).map { word(4 + 4 * $0) }
        var expected = header
        var product = 1
        for size in sizes {
            let (next, overflow) = product.multipliedReportingOverflow(by: size)
            guard !overflow, next < 1 << 40 else {
                throw DataError(.wrongFormat, "the header states the impossible size \(sizes)", file: url.path)
            }
            product = next
        }
        expected += product
        guard file.count >= expected else {
            throw DataError(
                .truncated,
                "the header states \(sizes.map(String.init).joined(separator: "x")), \(expected) bytes in all, "
                    + "found \(file.count). Fetch it again.", file: url.path)
        }
        guard file.count == expected else {
            throw DataError(
                .wrongFormat, "\(file.count - expected) bytes follow the \(expected) that the header states",
                file: url.path)
        }
        return (sizes, Array(file[header...]))
    }

    private static func hexadecimal(_ value: Int) -> String {
        let digits = String(value, radix: 16)
        return "0x" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }
}
