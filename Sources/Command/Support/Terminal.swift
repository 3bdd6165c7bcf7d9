import Foundation

/// Standard output for data, standard error for everything else.
enum Terminal {
    /// - Throws: ``Failure`` when standard output takes no more, as a file on a full disk.
    static func output(_ text: String) throws {
        let bytes = Array((text + "\n").utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(STDOUT_FILENO, $0.baseAddress! + written, bytes.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw Failure(.badInput, "standard output: cannot be written: \(String(cString: strerror(errno)))")
            }
            written += count
        }
    }

    /// What cannot be said is not worth ending for.
    static func error(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8)) }

    static func milliseconds(_ value: Double) -> String { String(format: "%.3f ms", value) }

    /// Rows as a table of aligned columns; numbers, and what looks like one, to the right.
    static func table(_ rows: [[String]]) -> String {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        let isNumber = (0..<count).map { column in
            rows.dropFirst().allSatisfy {
                column >= $0.count || $0[column].first.map { "0123456789-+.".contains($0) } ?? true
            }
        }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return isNumber[column] ? space + cell : column == row.count - 1 ? cell : cell + space
            }
            return cells.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
