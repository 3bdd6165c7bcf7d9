import Foundation

/// Lets one timer run at a time on a device, over all processes of this machine.
///
/// The kernel gives the lock back when its holder ends, however that happens.
final class TimerLock {
    private let descriptor: Int32

    /// Waits for the lock of that name.
    ///
    /// - Throws: ``HardwareError`` when the wait exceeds the patience or the lock's file cannot be opened.
    init(named name: String, in folder: String = "/tmp", patience: Duration) throws(HardwareError) {
        let path =
            folder + "/martlet-timer-" + String(name.map { $0.isLetter || $0.isNumber ? $0 : "-" }) + ".lock"
        // Without O_CREAT first: in a folder like /tmp the kernel refuses it for a file that another user made.
        var opened = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        if opened < 0 {
            opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
            if opened >= 0 { fchmod(opened, 0o666) }
        }
        guard opened >= 0 else {
            throw HardwareError(
                .file, "\(path): the timer's lock cannot be opened: \(String(cString: strerror(errno)))")
        }
        descriptor = opened
        let end = ContinuousClock.now + patience
        while flock(opened, LOCK_EX | LOCK_NB) != 0 {
            if ContinuousClock.now >= end {
                close(opened)
                throw HardwareError(.timedOut, "\(path): another process has been measuring for over \(patience)")
            }
            usleep(20_000)
        }
    }

    deinit {
        close(descriptor)
    }
}
