import Foundation
import Spaces

/// The folder `models/` of the package.
let modelsFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "models")

let modelNames: [String] = {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: modelsFolder.path)) ?? []
    return files.filter { $0.hasSuffix(".yaml") }.sorted()
}()

func loadModel(_ file: String) throws -> SearchSpace {
    let text = try String(contentsOf: modelsFolder.appending(path: file), encoding: .utf8)
    return try SearchSpace(yaml: text, file: "models/" + file)
}
