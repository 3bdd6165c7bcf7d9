import ArgumentParser
import CodeGeneration
import Foundation
import IR
import ONNXFormat
import Passes

/// The model that a command works on.
struct ModelOptions: ParsableArguments {
    @Argument(help: "The ONNX file.") var model: String

    @Option(
        name: .customLong("dim"),
        help: ArgumentHelp("The size of a symbolic dimension; may be repeated.", valueName: "name=size"))
    var dimensions: [String] = []

    /// A C identifier from the file's name.
    var name: String { URL(fileURLWithPath: model).deletingPathExtension().lastPathComponent }

    func read() throws -> ONNXModel { try ONNXModel(path: model) }

    func options() throws -> ONNXImporter.Options {
        var options = ONNXImporter.Options()
        for entry in dimensions {
            let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let size = Int(parts[1]), size > 0 else {
                throw ValidationError("--dim expects name=size with a positive size, found '\(entry)'")
            }
            options.dimensions[parts[0]] = size
        }
        return options
    }

    /// The model as a graph, as it was written.
    func graph() throws -> Graph { try ONNXImporter.graph(of: try read(), options: try options()) }
}
