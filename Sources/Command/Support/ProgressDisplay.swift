import Foundation
import Search
import Synchronization

/// Progress on standard error: a bar with the time left on a terminal, plain lines otherwise.
///
/// A search reports its own progress through ``show(_:)``. Shorter commands name their steps with the seconds each is
/// expected to take, through ``step(_:seconds:then:)``; they stay silent for the first two seconds.
final class ProgressDisplay: Sendable {
    private struct State {
        var phase = ""
        var last: ContinuousClock.Instant?
        var isLineOpen = false
        /// Steps: what is being done, since when, and the seconds it and what follows are expected to take.
        var step: (name: String, start: ContinuousClock.Instant, seconds: Double, then: Double)?
        var timer: (any DispatchSourceTimer)?
    }

    private let isQuiet: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let start = ContinuousClock().now
    private let state = Mutex(State())

    init(isQuiet: Bool) { self.isQuiet = isQuiet }

    func show(_ progress: SearchProgress) {
        guard !isQuiet else { return }
        state.withLock { state in
            let isNew = progress.phase != state.phase, isLast = progress.done >= progress.total
            let now = ContinuousClock().now
            if let last = state.last, !isNew, !isLast, now - last < pause { return }
            if isNew { endLine(&state) }
            (state.phase, state.last) = (progress.phase, now)
            let share = progress.total > 0 ? Double(progress.done) / Double(progress.total) : 0
            draw(
                "\(progress.phase) \(progress.done)/\(progress.total)", share, progress.text,
                left: isLast ? nil : progress.remaining, &state)
        }
    }

    /// Begins a step of a short command.
    ///
    /// - Parameters:
    ///   - seconds: How long it should take.
    ///   - then: How long what follows should take.
    func step(_ name: String, seconds: Double, then: Double = 0) {
        guard !isQuiet else { return }
        state.withLock { state in
            state.step = (name, ContinuousClock().now, max(seconds, 0.1), then)
            guard state.timer == nil else { return }
            let timer = DispatchSource.makeTimerSource(queue: .global())
            timer.schedule(deadline: .now() + 2, repeating: isTerminal ? 0.2 : 10)
            timer.setEventHandler { [self] in self.state.withLock { showStep(&$0) } }
            timer.resume()
            state.timer = timer
        }
    }

    /// Leaves the bar's line, before anything else is printed.
    func end() {
        state.withLock { state in
            state.timer?.cancel()
            (state.timer, state.step) = (nil, nil)
            endLine(&state)
        }
    }

    private func showStep(_ state: inout State) {
        guard let step = state.step else { return }
        let now = ContinuousClock().now
        let spent = (now - step.start).seconds, before = (step.start - start).seconds
        // A step that takes longer than expected holds its place; the rest is still to come.
        let left = max(step.seconds - spent, 0.05 * step.seconds) + step.then
        draw(step.name, (before + spent) / (before + spent + left), "", left: left, &state)
    }

    // A log needs fewer lines than an eye.
    private var pause: Duration { isTerminal ? .milliseconds(200) : .seconds(10) }

    private func draw(_ title: String, _ share: Double, _ note: String, left: Double?, _ state: inout State) {
        var text = title
        if isTerminal {
            let filled = Int(share * 24)
            text += " [" + String(repeating: "#", count: filled) + String(repeating: "-", count: 24 - filled) + "]"
        }
        if !note.isEmpty { text += " " + note }
        if let left, left > 0 { text += ", \(Self.time(left)) left" }
        write(isTerminal ? "\r\u{1B}[K" + text : text + "\n")
        state.isLineOpen = isTerminal
    }

    private func endLine(_ state: inout State) {
        if state.isLineOpen { write("\n") }
        state.isLineOpen = false
    }

    private func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }

    private static func time(_ seconds: Double) -> String {
        seconds < 60 ? "\(Int(seconds.rounded(.up))) s" : "\(Int(seconds / 60)) min \(Int(seconds) % 60) s"
    }
}

extension Duration {
    fileprivate var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
