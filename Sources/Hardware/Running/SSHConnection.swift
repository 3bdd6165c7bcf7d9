import Foundation

/// Runs programs on another machine through the user's own `ssh` and its configuration.
///
/// Each run has a folder of its own over there, removed at its end.
struct SSHConnection {
    let host: String
    let port: Int?
    let folder: String
    /// Words for both `ssh` and `scp`, for instance `-F FILE`.
    let options: [String]
    let target: Target

    func run(
        _ program: String, arguments: [String], in scratch: ScratchFolder, send: [String], collect: [String],
        timeLimit: Duration
    ) throws(HardwareError) -> ProcessResult {
        let made = try shell("mktemp -d \(SSHConnection.quoted(folder + "/martlet-XXXXXX"))", timeLimit: .seconds(60))
        let place = made.outputText.trimmingCharacters(in: .whitespacesAndNewlines)
        guard made.succeeded, place.hasPrefix("/") else { throw failure("no folder can be made", made) }
        defer { _ = try? shell("rm -rf \(SSHConnection.quoted(place))", timeLimit: .seconds(60)) }

        try copy([program] + send.map { scratch.path + "/" + $0 }, to: "\(host):\(place)/")
        let name = String(program.split(separator: "/").last ?? "program")
        let words = (["./" + name] + arguments).map(SSHConnection.quoted).joined(separator: " ")
        let result = try shell("cd \(SSHConnection.quoted(place)) && exec \(words)", timeLimit: timeLimit)
        // 255 is ssh's own failure; every other status is the program's.
        if result.ending == .exited(255) { throw failure("the connection failed", result) }
        if result.succeeded, !collect.isEmpty {
            try copy(collect.map { "\(host):\(place)/\($0)" }, to: scratch.path + "/")
        }
        return result
    }

    private func shell(_ command: String, timeLimit: Duration) throws(HardwareError) -> ProcessResult {
        let words =
            ["ssh", "-o", "BatchMode=yes"] + options + (port.map { ["-p", String($0)] } ?? []) + ["--", host, command]
        return try run(words, timeLimit: timeLimit)
    }

    private func copy(_ files: [String], to place: String) throws(HardwareError) {
        let words =
            ["scp", "-q", "-p", "-o", "BatchMode=yes"] + options + (port.map { ["-P", String($0)] } ?? []) + ["--"]
            + files + [place]
        let result = try run(words, timeLimit: .seconds(600))
        guard result.succeeded else { throw failure("a file cannot be copied", result) }
    }

    private func run(_ words: [String], timeLimit: Duration) throws(HardwareError) -> ProcessResult {
        do {
            return try ChildProcess.run(words, timeLimit: timeLimit)
        } catch {
            guard error.code == .toolMissing else { throw error }
            throw HardwareError(
                .toolMissing,
                "target \(target.name): '\(words[0])' is not installed; on Debian: apt-get install openssh-client")
        }
    }

    private func failure(_ what: String, _ result: ProcessResult) -> HardwareError {
        HardwareError(.programFailed, "target \(target.name): \(host): \(what): \(result.firstErrorLine)")
    }

    /// The text as one word of a POSIX shell.
    static func quoted(_ text: String) -> String {
        "'" + text.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}
