import Foundation

/// What a finished process left behind.
public struct ProcessResult: Sendable {
    /// How a process ended.
    public enum Ending: Hashable, Sendable {
        case exited(Int32)
        case signalled(Int32)
    }

    public var ending: Ending
    public var output: [UInt8]
    public var errors: [UInt8]

    public init(ending: Ending, output: [UInt8], errors: [UInt8]) {
        self.ending = ending
        self.output = output
        self.errors = errors
    }

    public var succeeded: Bool { ending == .exited(0) }
    public var outputText: String { String(decoding: output, as: UTF8.self) }
    public var errorText: String { String(decoding: errors, as: UTF8.self) }

    /// The line of its messages that says most: the first with "error", else the first, else how it ended.
    public var firstErrorLine: String {
        let lines = errorText.split(whereSeparator: \.isNewline)
        let line =
            lines.first { $0.contains("error:") } ?? lines.first { $0.contains("undefined reference") } ?? lines.first
        return line.map(String.init) ?? endingText
    }

    /// The ending in words.
    public var endingText: String {
        switch ending {
        case .exited(let status): "exit status \(status)"
        case .signalled(let signal): "ended by signal \(signal) (\(String(cString: strsignal(signal))))"
        }
    }
}

/// Runs other programs: synchronously, without a shell, within a time limit.
public enum ChildProcess {
    /// Runs a program to its end and collects what it prints.
    ///
    /// The program gets a process group of its own: at the time limit the whole group is killed, helpers of a compiler
    /// included, and a terminal's interrupt reaches only the parent, which decides what to finish. Standard input is
    /// empty, messages are in English.
    ///
    /// - Throws: ``HardwareError`` when the program is missing or runs past the limit; a failing one is a result.
    public static func run(
        _ command: [String], folder: String? = nil, timeLimit: Duration = .seconds(600)
    ) throws(HardwareError) -> ProcessResult {
        precondition(!command.isEmpty, "a command needs a program")
        // Glibc's own way to set a child's folder is not visible to Swift; `env` becomes the program, so its id stays.
        let words = ["env"] + (folder.map { ["-C", $0] } ?? []) + ["LC_ALL=C"] + command
        var output = try Pipe.open(for: command[0])
        var errors: Pipe
        do {
            errors = try Pipe.open(for: command[0])
        } catch {
            output.close()
            throw error
        }
        defer {
            output.close()
            errors.close()
        }
        let child = try spawn(words, output: output, errors: errors)
        output.closeWriting()
        errors.closeWriting()
        let status = try collect(child, &output, &errors, command: command, timeLimit: timeLimit)
        let ending: ProcessResult.Ending =
            (status & 0x7f) == 0 ? .exited((status >> 8) & 0xff) : .signalled(status & 0x7f)
        let result = ProcessResult(ending: ending, output: output.bytes, errors: errors.bytes)
        if result.ending == .exited(127) || result.ending == .exited(126), result.errorText.hasPrefix("env: ") {
            throw HardwareError(.toolMissing, "\(command[0]): the program cannot be started: \(result.firstErrorLine)")
        }
        return result
    }

    private static func spawn(_ words: [String], output: Pipe, errors: Pipe) throws(HardwareError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output.writing, 1)
        posix_spawn_file_actions_adddup2(&actions, errors.writing, 2)
        posix_spawnattr_setpgroup(&attributes, 0)
        // A parent that ignores or blocks signals must not hand that down: the child would survive what it should not.
        var none = sigset_t()
        var defaults = sigset_t()
        sigemptyset(&none)
        sigemptyset(&defaults)
        for signal in [SIGPIPE, SIGINT, SIGTERM, SIGQUIT] { sigaddset(&defaults, signal) }
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child: pid_t = 0
        let status = posix_spawnp(&child, words[0], &actions, &attributes, &arguments, environ)
        guard status == 0 else {
            throw HardwareError(
                .toolMissing, "\(words[0]): the program cannot be started: \(String(cString: strerror(status)))")
        }
        return child
    }

    /// Reads both pipes until the child has ended, and returns its wait status.
    private static func collect(
        _ child: pid_t, _ output: inout Pipe, _ errors: inout Pipe, command: [String], timeLimit: Duration
    ) throws(HardwareError) -> Int32 {
        let end = ContinuousClock.now + timeLimit
        var pause: Int32 = 1
        while true {
            // Only the child's end counts: a grandchild may hold the pipes open for ever.
            var status: Int32 = 0
            let ended = waitpid(child, &status, WNOHANG)
            let printed = output.drain()
            let complained = errors.drain()
            if ended == child {
                while output.drain() {}
                while errors.drain() {}
                return status
            }
            if ended < 0, errno != EINTR {
                throw HardwareError(.programFailed, "\(command[0]): its end cannot be awaited: errno \(errno)")
            }
            if ContinuousClock.now >= end {
                kill(-child, SIGKILL)
                while waitpid(child, &status, 0) < 0, errno == EINTR {}
                throw HardwareError(
                    .timedOut, "\(command.joined(separator: " ").prefix(200)): still running after \(timeLimit); ended")
            }
            pause = printed || complained ? 1 : min(pause * 2, 16)
            var waiting = [output.pollEntry, errors.pollEntry]
            // Ended pipes would wake the poll at once, so they are left out of it.
            poll(&waiting, 2, pause)
        }
    }
}

/// A pipe whose reading end does not block.
private struct Pipe {
    private(set) var reading: Int32
    private(set) var writing: Int32
    private(set) var bytes: [UInt8] = []
    private var ended = false

    private init(reading: Int32, writing: Int32) {
        self.reading = reading
        self.writing = writing
    }

    static func open(for program: String) throws(HardwareError) -> Pipe {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw HardwareError(.file, "\(program): no pipe for its output: \(String(cString: strerror(errno)))")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        return Pipe(reading: ends[0], writing: ends[1])
    }

    var pollEntry: pollfd { pollfd(fd: ended ? -1 : reading, events: Int16(POLLIN), revents: 0) }

    /// Takes over what has arrived, up to a few buffers so that a flood cannot outlast a time limit; returns whether
    /// anything has.
    mutating func drain() -> Bool {
        var received = false
        var buffer = [UInt8](repeating: 0, count: 65536)
        for _ in 0..<16 where !ended {
            let count = read(reading, &buffer, buffer.count)
            if count > 0 {
                bytes += buffer[..<count]
                received = true
            } else if count < 0 && errno == EINTR {
                continue
            } else {
                ended = count == 0
                return received
            }
        }
        return received
    }

    mutating func closeWriting() {
        if writing >= 0 { Foundation.close(writing) }
        writing = -1
    }

    mutating func close() {
        closeWriting()
        if reading >= 0 { Foundation.close(reading) }
        reading = -1
    }
}
