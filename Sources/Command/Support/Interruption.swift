import Foundation
import Hardware

/// Ctrl-C while a command works: its temporary folders go, then the signal does what it does by default.
enum Interruption {
    nonisolated(unsafe) private static let watchers = [SIGINT, SIGTERM].compactMap(watcher)

    /// Watches from now on.
    static func watch() { _ = watchers }

    /// Nil for a signal that is ignored or handled already.
    private static func watcher(_ number: Int32) -> (any DispatchSourceSignal)? {
        var current = sigaction()
        sigaction(number, nil, &current)
        guard current.__sigaction_handler.sa_handler == nil else { return nil }
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler {
            ScratchPaths.removeAll {
                signal(number, SIG_DFL)
                // Whoever started the process may have blocked the signal.
                var mask = sigset_t()
                sigemptyset(&mask)
                sigaddset(&mask, number)
                pthread_sigmask(SIG_UNBLOCK, &mask, nil)
                raise(number)
            }
        }
        source.resume()
        return source
    }
}
