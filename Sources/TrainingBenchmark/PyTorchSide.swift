import Foundation
import IR

/// PyTorch in a process of its own that takes one turn a line of input.
final class PyTorchSide {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var buffer = Data()
    private var bytes: Double?

    /// `nil` when the program has no PyTorch.
    init?(_ name: String, _ options: BenchmarkOptions, python: String, paths: [Graph]) {
        var arguments = [
            python, options.script, name, "--threads", "\(options.threads)", "--burst", "\(options.burst)",
        ]
        if let batch = options.batch { arguments += ["--batch", "\(batch)"] }
        if !paths.isEmpty {
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("paths-\(getpid()).json")
            let text = "[" + paths.map(Self.json).joined(separator: ",\n") + "]"
            guard (try? text.write(to: file, atomically: true, encoding: .utf8)) != nil else { return nil }
            arguments += ["--paths", file.path]
        }
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        guard (try? process.run()) != nil, line() == "ready" else {
            FileHandle.standardError.write(Data("no PyTorch (\(python)): ours alone\n".utf8))
            return nil
        }
    }

    deinit {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// The median time of a step in one turn.
    func burst() -> Double? {
        guard (try? input.fileHandleForWriting.write(contentsOf: Data("\n".utf8))) != nil, let line = line(),
            let found = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Double]
        else { return nil }
        bytes = found["memory"]
        return found["median_s"]
    }

    /// Bytes by which the process's peak grew since PyTorch was loaded.
    func memory() -> Double? { bytes }

    private func line() -> String? {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                defer { buffer = Data(buffer[(end + 1)...]) }
                return String(decoding: buffer[..<end], as: UTF8.self)
            }
            let data = output.fileHandleForReading.availableData
            if data.isEmpty { return nil }
            buffer += data
        }
    }

    /// A graph as a list of nodes: mnemonic, attributes, operands, results, shapes.
    private static func json(_ graph: Graph) -> String {
        let nodes: [[String: Any]] = graph.nodes.map { node in
            var attributes: [String: String] = [:]
            for attribute in (try? node.op.attributes()) ?? [] {
                attributes[attribute.name] = "\(attribute.value)"
            }
            return [
                "op": node.op.mnemonic, "name": node.name ?? "", "attributes": attributes,
                "operands": node.operands.map(\.id), "results": node.results.map(\.id),
                "shape": graph.type(of: node.results[0]).shape,
            ]
        }
        let document: [String: Any] = ["inputs": graph.inputs.map(\.id), "loss": graph.outputs[0].id, "nodes": nodes]
        return (try? JSONSerialization.data(withJSONObject: document)).map { String(decoding: $0, as: UTF8.self) }
            ?? "{}"
    }
}
