public import Execution
public import IR

/// A graph made ready to run any number of times on parameters that stay where they are.
public protocol GraphProgram: AnyObject {
    /// Runs the graph on its inputs, in order: row-major elements of the inputs' types.
    func run(_ inputs: [UnsafeRawPointer]) throws

    /// The elements of an `f32` output, row-major, valid until the next run.
    func output(_ index: Int) -> UnsafeBufferPointer<Float>

    /// Operators that run by their definitions, for lack of a kernel: very slow in a network of any size.
    var slowOperators: [String] { get }
}

/// What runs graphs.
public struct Backend {
    public let name: String
    /// The threads that its programs run on, for what is done between two runs.
    public let pool: ThreadPool?
    private let make: (Graph, [StoredTensor]) throws -> any GraphProgram

    public init(
        _ name: String, pool: ThreadPool? = nil, make: @escaping (Graph, [StoredTensor]) throws -> any GraphProgram
    ) {
        self.name = name
        self.pool = pool
        self.make = make
    }

    /// Prepares a graph. `parameters` are those of the graph, in its order.
    ///
    /// - Throws: ``ShapeError`` when there are others than the graph's, or what the backend cannot run.
    public func program(_ graph: Graph, parameters: [StoredTensor]) throws -> any GraphProgram {
        let expected = graph.parameters
        guard expected.count == parameters.count else {
            throw ShapeError("the graph has \(expected.count) parameters, found \(parameters.count)", at: graph.name)
        }
        for ((name, value), tensor) in zip(expected, parameters) where tensor.shape != graph.type(of: value).shape {
            throw ShapeError(
                "the graph asks for \(graph.type(of: value)), the store holds shape \(tensor.shape)", at: name)
        }
        return try make(graph, parameters)
    }

    /// Prepares a graph on the parameters of a store.
    ///
    /// - Throws: ``ShapeError`` also when the store lacks one.
    public func program(_ graph: Graph, store: ParameterStore) throws -> any GraphProgram {
        let parameters = try graph.parameters.map { name, _ throws(ShapeError) in
            guard let tensor = store[name] else { throw ShapeError("the store holds no such parameter", at: name) }
            return tensor
        }
        return try program(graph, parameters: parameters)
    }

    /// The definitions of the operators: slow, the measure of every other backend.
    public static var interpreter: Backend { Backend("interpreter") { InterpretedProgram($0, $1) } }
}

/// A graph run by the definitions of its operators.
private final class InterpretedProgram: GraphProgram {
    private let graph: Graph
    private let parameters: [(name: String, tensor: StoredTensor)]
    private var outputs: [UnsafeMutableBufferPointer<Float>]

    init(_ graph: Graph, _ parameters: [StoredTensor]) {
        self.graph = graph
        self.parameters = zip(graph.parameters, parameters).map { ($0.name, $1) }
        outputs = graph.outputs.map { aligned(graph.type(of: $0).count, zero: 0) }
    }

    deinit { for output in outputs { output.baseAddress.map { UnsafeMutableRawPointer($0).deallocate() } } }

    func run(_ inputs: [UnsafeRawPointer]) throws {
        let tensors = zip(graph.inputs, inputs).map { value, pointer in
            let type = graph.type(of: value).plain
            let bytes = UnsafeRawBufferPointer(start: pointer, count: type.byteCount)
            return ReferenceTensor<Float>(Literal(type.element, type.shape, bytes: Array(bytes)))
        }
        let values = Dictionary(
            uniqueKeysWithValues: parameters.map {
                ($0.name, ReferenceTensor(.f32, $0.tensor.shape, Array($0.tensor.values)))
            })
        let results = try Interpreter.run(graph, inputs: tensors, parameters: values)
        for (output, result) in zip(outputs, results) { _ = output.update(fromContentsOf: result.reals) }
    }

    func output(_ index: Int) -> UnsafeBufferPointer<Float> { UnsafeBufferPointer(outputs[index]) }

    var slowOperators: [String] { graph.nodes.map(\.op.mnemonic) }
}
