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

    @Option(
        name: .customLong("bind"),
        help: ArgumentHelp(
            "The value of an input that decides shapes or branches, which is an input no longer; may be repeated.",
            valueName: "input=value,…"))
    var bindings: [String] = []

    /// A C identifier from the file's name.
    var name: String { URL(fileURLWithPath: model).deletingPathExtension().lastPathComponent }

    /// Bytes of the file: what reading and optimising take time by. 0 where there is none.
    var fileSize: Double {
        let attributes = try? FileManager.default.attributesOfItem(atPath: model)
        return (attributes?[.size] as? NSNumber)?.doubleValue ?? 0
    }

    func read() throws -> ONNXModel { try ONNXModel(path: model) }

    func options(for model: ONNXModel) throws -> ONNXImporter.Options {
        var options = ONNXImporter.Options()
        for entry in dimensions {
            let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let size = Int(parts[1]), size > 0 else {
                throw ValidationError("--dim expects name=size with a positive size, found '\(entry)'")
            }
            options.dimensions[parts[0]] = size
        }
        for entry in bindings {
            let (name, value) = try binding(entry, in: model)
            options.bindings[name] = value
        }
        return options
    }

    /// An input's name and value; a list where the input has a dimension, a single number where it has none.
    private func binding(_ entry: String, in model: ONNXModel) throws -> (String, ONNXTensorValue) {
        let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
        let numbers = parts.count == 2 ? parts[1].split(separator: ",").map { Double($0) } : []
        guard !numbers.isEmpty, !numbers.contains(nil) else {
            throw ValidationError("--bind expects input=value, or input=value,value…, found '\(entry)'")
        }
        guard let input = model.requiredInputs.first(where: { $0.name == parts[0] }) else {
            let known = model.requiredInputs.map(\.name).joined(separator: ", ")
            throw Failure(.badInput, "\(model.file): there is no input '\(parts[0])' to bind; inputs: \(known)")
        }
        guard case .tensor(let type, let shape) = input.type, let element = type.element, (shape?.count ?? 1) < 2 else {
            throw Failure(
                .badInput, "\(model.file): input '\(parts[0])': only a scalar or a list of numbers can be bound")
        }
        let isScalar = shape?.isEmpty ?? (numbers.count == 1)
        guard !isScalar || numbers.count == 1 else {
            throw Failure(.badInput, "\(model.file): input '\(parts[0])': expected 1 value, found \(numbers.count)")
        }
        let literal = Literal(element, isScalar ? [] : [numbers.count], reals: numbers.compactMap { $0 })
        return (parts[0], ONNXTensorValue(literal))
    }

    /// The model as a graph, as it was written.
    func graph() throws -> Graph {
        let model = try read()
        return try ONNXImporter.graph(of: model, options: try options(for: model))
    }
}
