import Foundation
import Synchronization

/// The temporary folders of this process, so that whoever handles its end can remove them.
package enum ScratchPaths {
    private static let paths = Mutex<Set<String>>([])

    package static func insert(_ path: String) { paths.withLock { _ = $0.insert(path) } }

    package static func remove(_ path: String) { paths.withLock { _ = $0.remove(path) } }

    /// Removes all folders, then calls `body` before any other can be noted.
    package static func removeAll(before body: () -> Void) {
        paths.withLock { paths in
            for path in paths {
                // A file that appears meanwhile makes the removal fail.
                for _ in 0..<3 {
                    if (try? FileManager.default.removeItem(atPath: path)) != nil { break }
                }
            }
            body()
        }
    }
}
