public import IR

/// Times of nodes in the format that browsers' tracing pages and Perfetto read.
public struct ChromeTrace: Sendable {
    private var events: [String] = []
    private var origin: Int64?

    public init() {}

    /// Adds a run of an executor; runs lie behind each other as they were timed.
    public mutating func add(_ times: [Executor.NodeTime], of graph: Graph) {
        for time in times {
            let node = graph.nodes[time.node]
            let start = Double(time.start - (origin ?? time.start)) / 1000
            if origin == nil { origin = time.start }
            let results = node.results.map { graph.type(of: $0).description }.joined(separator: ", ")
            let arguments =
                "\"node\":\(time.node),\"name\":\(Self.quote(node.name ?? "")),\"results\":\(Self.quote(results))"
            events.append(
                "{\"name\":\(Self.quote(node.op.mnemonic)),\"cat\":\"node\",\"ph\":\"X\",\"pid\":1,\"tid\":1,"
                    + "\"ts\":\(start),\"dur\":\(Double(time.duration) / 1000),\"args\":{\(arguments)}}")
        }
    }

    /// The document: one event a node and run.
    public var json: String {
        "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n\(events.joined(separator: ",\n"))\n]}\n"
    }

    private static func quote(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case let s where s.value < 32:
                let hex = String(s.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
