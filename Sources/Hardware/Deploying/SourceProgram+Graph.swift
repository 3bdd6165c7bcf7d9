import CodeGeneration
public import IR
import Passes

extension SourceProgram {
    /// The C of a graph whose speed, not whose results, are asked for.
    ///
    /// Parameters get made-up values that depend on their place alone. So candidates of equal structure are one program,
    /// however their weights were trained, and are timed once.
    ///
    /// - Throws: ``HardwareError`` for a graph that cannot be deployed or written as C.
    public init(timing graph: Graph, on target: Target) throws(HardwareError) {
        var random = RandomSource(seed: 1)
        var values: [String: Literal] = [:]
        for (name, value) in graph.parameters {
            values[name] = SourceProgram.madeUpWeights(graph.type(of: value).plain, &random)
        }
        self.init(try SourceProgram.program(of: graph, parameters: values, name: "candidate", target: target))
    }

    /// The deployable form of a graph, written as C.
    static func program(
        of graph: Graph, parameters: [String: Literal], name: String, target: Target
    ) throws(HardwareError) -> CProgram {
        do {
            return try CProgram(
                try target.deployed(graph, parameters: parameters), options: COptions(name: name))
        } catch let error as PassError {
            throw HardwareError(.unsupported, "graph \(graph.name): cannot be deployed: \(error.description)")
        } catch let error as ExportError {
            throw HardwareError(.unsupported, "graph \(graph.name): cannot be written as C: \(error.message)")
        } catch {
            throw HardwareError(.unsupported, "graph \(graph.name): \(error)")
        }
    }

    /// Weights in a range in which activations neither vanish nor overflow: numbers of other kinds can be slower.
    private static func madeUpWeights(_ type: TensorType, _ random: inout RandomSource) -> Literal {
        guard type.element.isFloatingPoint else {
            return Literal(type.element, type.shape, integers: [Int64](repeating: 0, count: type.count))
        }
        // Scales, offsets and variances stay positive; filters keep the size of what they see.
        let isVector = type.shape.count < 2
        let fanIn = type.shape.dropFirst().reduce(1, *)
        let width = (3 / Double(max(fanIn, 1))).squareRoot()
        // A prime period: rows of a filter do not repeat, and long tensors need few draws.
        let drawn = (0..<min(type.count, 1021)).map { _ in
            isVector ? 0.5 + random.uniform() : width * (2 * random.uniform() - 1)
        }
        let bytes = Literal(type.element, [drawn.count], reals: drawn).bytes
        var all: [UInt8] = []
        let size = type.count * type.element.size
        all.reserveCapacity(size + bytes.count)
        while all.count < size { all += bytes }
        all.removeLast(all.count - size)
        return Literal(type.element, type.shape, bytes: all)
    }
}
