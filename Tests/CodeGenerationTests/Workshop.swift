import CodeGeneration
import Foundation
import IR
import Testing

/// A temporary folder in which emitted programs are compiled and run.
final class Workshop {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-c-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func write(_ files: [CProgram.File]) throws {
        for file in files { try Data(file.contents).write(to: folder.appendingPathComponent(file.name)) }
    }

    func write(_ name: String, _ text: String) throws { try write([CProgram.File(name, text)]) }

    func read(_ name: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: folder.appendingPathComponent(name))) }

    /// What a command printed, both streams together, and its exit status.
    func run(_ command: String...) throws -> (status: Int32, output: String) { try run(command) }

    func run(_ command: [String]) throws -> (status: Int32, output: String) {
        let process = Process(), pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.currentDirectoryURL = folder
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }

    static let strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]

    /// Runs a command that must succeed, and returns its output.
    @discardableResult
    func expect(_ command: [String], _ what: String = "") throws -> String {
        let result = try run(command)
        #expect(result.status == 0, "\(what): \(command.joined(separator: " "))\n\(result.output.prefix(3000))")
        return result.output
    }
}
