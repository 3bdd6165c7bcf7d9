import Foundation
import Hardware
import Testing

@Suite struct ChildProcessTests {
    @Test func outputAndStatus() throws {
        let result = try ChildProcess.run(["sh", "-c", "printf out; printf 'bad\\nerror: worse\\n' >&2; exit 3"])
        #expect(result.outputText == "out")
        #expect(result.firstErrorLine == "error: worse")
        #expect(result.ending == .exited(3))
        #expect(!result.succeeded)
    }

    @Test func argumentsAreNotInterpreted() throws {
        let words = ["a b", "$HOME", "*", "'\"", "", "-n"]
        let result = try ChildProcess.run(["printf", "[%s]"] + words)
        #expect(result.outputText == words.map { "[\($0)]" }.joined())
    }

    @Test func largeOutputsOnBothPipes() throws {
        let script = "head -c 3000000 /dev/zero & head -c 2000000 /dev/zero >&2; wait"
        let result = try ChildProcess.run(["sh", "-c", script], timeLimit: .seconds(60))
        #expect(result.output.count == 3_000_000)
        #expect(result.errors.count == 2_000_000)
    }

    @Test func signalsAreToldApart() throws {
        #expect(try ChildProcess.run(["sh", "-c", "kill -SEGV $$"]).ending == .signalled(SIGSEGV))
    }

    @Test func theTimeLimitEndsTheWholeGroup() throws {
        let folder = try TestFolder()
        let start = ContinuousClock.now
        let error = fault {
            _ = try ChildProcess.run(
                ["sh", "-c", "(sleep 2; touch late) & sleep 60"], folder: folder.path, timeLimit: .milliseconds(300))
        }
        #expect(error?.code == .timedOut)
        #expect(ContinuousClock.now - start < .seconds(20))
        Thread.sleep(forTimeInterval: 2.5)
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/late"))
    }

    @Test func aFloodIsEnded() {
        #expect(fault { _ = try ChildProcess.run(["yes"], timeLimit: .milliseconds(200)) }?.code == .timedOut)
    }

    @Test func aHelperLeftBehindDoesNotHoldItUp() throws {
        let start = ContinuousClock.now
        let result = try ChildProcess.run(["sh", "-c", "sleep 30 & echo $!"], timeLimit: .seconds(25))
        #expect(ContinuousClock.now - start < .seconds(20))
        let helper = try #require(Int32(result.outputText.trimmingCharacters(in: .whitespacesAndNewlines)))
        kill(helper, SIGKILL)
    }

    @Test func folderAndInput() throws {
        let folder = try TestFolder()
        let result = try ChildProcess.run(["sh", "-c", "pwd; cat"], folder: folder.path)
        let place = URL(fileURLWithPath: folder.path).resolvingSymlinksInPath().path
        #expect(result.outputText == place + "\n")
    }

    @Test func aMissingProgram() {
        let error = fault { _ = try ChildProcess.run(["martlet-no-such-tool"]) }
        #expect(error?.code == .toolMissing)
        #expect(error?.message.hasPrefix("martlet-no-such-tool: the program cannot be started") == true)
    }
}
