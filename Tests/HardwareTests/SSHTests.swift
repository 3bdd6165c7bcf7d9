import Foundation
import Hardware
import Testing

private let daemon = "/usr/sbin/sshd"
private let hasServer = [daemon, "/usr/bin/ssh", "/usr/bin/ssh-keygen"].allSatisfy {
    FileManager.default.isExecutableFile(atPath: $0)
}

/// Programs run through a real `sshd` on the loopback interface; without one the suite is skipped.
@Suite(.serialized, .enabled(if: hasServer, "openssh-server is not installed"))
struct SSHTests {
    @Test func copiesRunsAndCollects() throws {
        let folder = try TestFolder()
        let server = try Server(in: folder.path)
        defer { server.stop() }
        var target = try TargetLibrary().target("host")
        let remote = folder.path + "/remote place"
        try FileManager.default.createDirectory(atPath: remote, withIntermediateDirectories: true)
        target.runner = .ssh(
            host: "127.0.0.1", port: server.port, folder: remote, options: ["-F", server.clientConfiguration])

        let builder = try Builder(for: target, in: folder.path + "/builds")
        let built = try builder.build(sampleProgram(), as: .run)
        let input = (0..<16).map { Float($0) }
        let outputs = try ProgramRunner(for: target).run(built, inputs: [bytes(input), bytes([Int32(3)])])
        #expect(outputs.map(floats) == [input.map { 2 * $0 + 4 }])

        var plan = MeasuringPlan.quick
        plan.burst = .milliseconds(10)
        let result = try Profiler(builder: builder, plan: plan).measure([sampleProgram(repeats: 100)])
        #expect(result[0].median > 0)

        let failing = try builder.build(sampleProgram(body: "return 7;"), as: .run)
        let error = fault {
            _ = try ProgramRunner(for: target).run(failing, inputs: [bytes(input), bytes([Int32(0)])])
        }
        #expect(error?.message.contains("run function returned 7") == true, "\(error?.message ?? "")")
        #expect(try FileManager.default.contentsOfDirectory(atPath: remote).isEmpty, "runs clean up after themselves")
    }

    @Test func aSilentPortIsReported() throws {
        let folder = try TestFolder()
        var target = try TargetLibrary().target("host")
        target.runner = .ssh(host: "127.0.0.1", port: 1, folder: "/tmp", options: ["-F", "/dev/null"])
        let built = try Builder(for: target, in: folder.path).build(sampleProgram(), as: .bench)
        let error = fault { _ = try ProgramRunner(for: target).output(of: built, arguments: []) }
        #expect(error?.code == .programFailed)
        #expect(error?.message.hasPrefix("target host: 127.0.0.1: no folder can be made: ") == true)
    }

    /// An `sshd` of this test's own: its keys, its port, its configuration.
    private struct Server {
        let port: Int
        let clientConfiguration: String
        private let process = Process()

        init(in folder: String) throws {
            for name in ["host_key", "user_key"] {
                let made = try ChildProcess.run([
                    "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(name)",
                ])
                #expect(made.succeeded)
            }
            try FileManager.default.copyItem(atPath: folder + "/user_key.pub", toPath: folder + "/authorized")
            port = try Server.freePort()
            let server = """
                Port \(port)
                ListenAddress 127.0.0.1
                HostKey \(folder)/host_key
                AuthorizedKeysFile \(folder)/authorized
                PidFile \(folder)/sshd.pid
                StrictModes no
                UsePAM no
                PasswordAuthentication no
                PermitRootLogin yes
                Subsystem sftp internal-sftp
                """
            let client = """
                IdentityFile \(folder)/user_key
                IdentitiesOnly yes
                StrictHostKeyChecking no
                UserKnownHostsFile \(folder)/known
                LogLevel ERROR
                """
            try server.write(toFile: folder + "/sshd_config", atomically: true, encoding: .utf8)
            try client.write(toFile: folder + "/ssh_config", atomically: true, encoding: .utf8)
            clientConfiguration = folder + "/ssh_config"
            // Where no service ever started it, the folder it drops its rights in is missing.
            try? FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
            process.executableURL = URL(fileURLWithPath: daemon)
            process.arguments = ["-D", "-f", folder + "/sshd_config", "-E", folder + "/log"]
            try process.run()
            for _ in 0..<100 where !FileManager.default.fileExists(atPath: folder + "/sshd.pid") {
                Thread.sleep(forTimeInterval: 0.05)
            }
        }

        func stop() {
            // A test's thread may block the gentler signals, and children inherit that.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }

        private static func freePort() throws -> Int {
            let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(socket) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let status = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                    bind(socket, generic, size) == 0 ? getsockname(socket, generic, &size) : -1
                }
            }
            try #require(status == 0)
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }
}
