import Foundation

/// Standard output for data, standard error for everything else.
enum Terminal {
    static func output(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
    static func error(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

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
