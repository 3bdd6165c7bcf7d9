import CKernels
import Foundation

/// The binary versions of CIFAR-10 and CIFAR-100: records of one or two label bytes and 32x32 planes R, G, B.
///
/// - Source: Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009; format as published with it.
enum CIFAR {
    static let side = 32

    /// Images and the last label byte (the fine label) of each record.
    static func read(_ url: URL, labelBytes: Int, classes: Int) throws(DataError) -> (pixels: [UInt8], labels: [Int32])
    {
        let bytes = try CompressedFile.read(url)
        let plane = side * side
        let record = labelBytes + 3 * plane
        guard bytes.count > 0, bytes.count % record == 0 else {
            throw DataError(
                .truncated,
                "expected records of \(record) bytes, found \(bytes.count) bytes: \(bytes.count / record) records and "
                    + "\(bytes.count % record) bytes more. Fetch it again.", file: url.path)
        }
        let count = bytes.count / record
        let labels = (0..<count).map { Int32(bytes[$0 * record + labelBytes - 1]) }
        try ImageSet.checkLabels(labels, classes: classes, file: url.path)
        let pixels = [UInt8](unsafeUninitializedCapacity: count * 3 * plane) { buffer, initialized in
            martlet_data_interleave(bytes, Int64(count), Int64(labelBytes), 3, Int64(plane), buffer.baseAddress)
            initialized = count * 3 * plane
        }
        return (pixels, labels)
    }
}
