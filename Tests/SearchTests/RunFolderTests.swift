import Foundation
import Search
import Spaces
import Testing

/// A folder for one test, removed afterwards.
func withTemporaryFolder<T>(_ body: (String) throws -> T) throws -> T {
    let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-test-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(folder)
}

@Suite struct RunFolderTests {
    @Test func aFolderIsNeverOverwrittenUnlessForced() throws {
        try withTemporaryFolder { parent in
            let path = parent + "/run"
            let folder = try RunFolder(creating: path)
            try folder.write("{}", to: folder.record)
            let error = #expect(throws: SearchError.self) { try RunFolder(creating: path) }
            #expect(error?.code == .outputExists)
            #expect(error?.description.contains("--force") == true)
            try Data("x".utf8).write(to: URL(filePath: path + "/old"))
            _ = try RunFolder(creating: path, force: true)
            #expect(!FileManager.default.fileExists(atPath: path + "/old"))
        }
    }

    @Test func forceRemovesRunsAndNothingElse() throws {
        try withTemporaryFolder { path in
            try Data("precious".utf8).write(to: URL(filePath: path + "/thesis.tex"))
            let error = #expect(throws: SearchError.self) { try RunFolder(creating: path, force: true) }
            #expect(error?.code == .outputExists)
            #expect(FileManager.default.fileExists(atPath: path + "/thesis.tex"))
            let resume = #expect(throws: SearchError.self) { try RunFolder(resuming: path) }
            #expect(resume?.code == .resume)
        }
    }

    @Test func aTornLastRowIsDroppedAndTheNextStartsAfresh() throws {
        try withTemporaryFolder { path in
            let file = path + "/trials.jsonl"
            var log = try TrialLog(file: file)
            for index in 0..<3 { try log.append(trial(index)) }
            let whole = try Data(contentsOf: URL(filePath: file))
            for cut in [1, 20, 60] {
                try whole.dropLast(cut).write(to: URL(filePath: file))
                var torn = try TrialLog(file: file)
                #expect(torn.trials == [trial(0), trial(1)])
                try torn.append(trial(7))
                #expect(try TrialLog(file: file).trials == [trial(0), trial(1), trial(7)])
            }
        }
    }

    @Test func resumingKeepsTheRowsOfTheCheckpoint() throws {
        try withTemporaryFolder { path in
            let file = path + "/trials.jsonl"
            var log = try TrialLog(file: file)
            for index in 0..<5 { try log.append(trial(index)) }
            #expect(try TrialLog(file: file, keeping: 3).trials.map(\.index) == [0, 1, 2])
            #expect(try TrialLog(file: file).trials.count == 3)
            let error = #expect(throws: SearchError.self) { try TrialLog(file: file, keeping: 9) }
            #expect(error?.description == "\(file): expected 9 rows, found 3")
        }
    }

    @Test func aDamagedRowInTheMiddleIsAnError() throws {
        try withTemporaryFolder { path in
            let file = path + "/trials.jsonl"
            var log = try TrialLog(file: file)
            try log.append(trial(0))
            try Data("{\"index\":\n".utf8).append(to: file)
            try log.append(trial(1))
            let error = #expect(throws: SearchError.self) { try TrialLog(file: file) }
            #expect(error?.description == "\(file):2: the row is damaged. Is it from another version?")
        }
    }

    private func trial(_ index: Int) -> Trial {
        Trial(
            index: index, kind: .candidate, architecture: Architecture(choices: [index, 1]), text: "a\"b\n\(index)",
            accuracy: 0.5, predictedLatency: 1.25, costs: ["macs": 1e6], seconds: 1)
    }
}

extension Data {
    fileprivate func append(to file: String) throws {
        let handle = try FileHandle(forWritingTo: URL(filePath: file))
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: self)
    }
}
