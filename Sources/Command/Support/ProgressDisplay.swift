import Foundation
import Search

/// The progress of a search on standard error: a bar with the time left on a terminal, plain lines otherwise.
final class ProgressDisplay {
    private let isQuiet: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let clock = ContinuousClock()
    private var phase = ""
    private var last: ContinuousClock.Instant?
    private var isLineOpen = false

    init(isQuiet: Bool) { self.isQuiet = isQuiet }

    func show(_ progress: SearchProgress) {
        guard !isQuiet else { return }
        let isNew = progress.phase != phase, isLast = progress.done >= progress.total
        // A log needs fewer lines than an eye.
        let pause: Duration = isTerminal ? .milliseconds(200) : .seconds(10)
        if let last, !isNew, !isLast, clock.now - last < pause { return }
        if isNew, isLineOpen { end() }
        (phase, last) = (progress.phase, clock.now)
        let share = progress.total > 0 ? Double(progress.done) / Double(progress.total) : 0
        var text = "\(progress.phase) \(progress.done)/\(progress.total)"
        if isTerminal {
            let filled = Int(share * 24)
            text += " [" + String(repeating: "#", count: filled) + String(repeating: "-", count: 24 - filled) + "]"
        }
        if !progress.text.isEmpty { text += " " + progress.text }
        if let left = progress.remaining, left > 0, !isLast { text += ", \(Self.time(left)) left" }
        write(isTerminal ? "\r\u{1B}[K" + text : text + "\n")
        isLineOpen = isTerminal
    }

    /// Leaves the bar's line.
    func end() {
        if isLineOpen { write("\n") }
        isLineOpen = false
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

    private static func time(_ seconds: Double) -> String {
        seconds < 60 ? "\(Int(seconds.rounded(.up))) s" : "\(Int(seconds / 60)) min \(Int(seconds) % 60) s"
    }
}
