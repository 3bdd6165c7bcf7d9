/// The content of an ONNX file, free of protobuf: what the importer reads and the exporter writes.
public struct ONNXModel: Hashable, Sendable {
    public var irVersion: Int64 = 8
    /// The opset each domain is used at; the default domain is the empty string.
    public var opsets: [OperatorSet] = []
    public var producerName = ""
    public var producerVersion = ""
    public var domain = ""
    public var modelVersion: Int64 = 0
    public var documentation = ""
    /// The entries of `metadata_props`, in order.
    public var metadata: [Entry] = []
    public var graph: Graph
    public var functions: [Function] = []
    /// What errors call this model: its path, or a name for bytes.
    public var file = "model"

    public init(graph: Graph, opsets: [OperatorSet] = [OperatorSet(domain: "", version: 17)]) {
        self.graph = graph
        self.opsets = opsets
    }

    public struct OperatorSet: Hashable, Sendable {
        public var domain: String
        public var version: Int

        public init(domain: String, version: Int) {
            self.domain = domain
            self.version = version
        }
    }

    public struct Entry: Hashable, Sendable {
        public var key: String
        public var value: String

        public init(key: String, value: String) {
            self.key = key
            self.value = value
        }
    }

    /// Nodes in an order in which every value is defined before it is used.
    public struct Graph: Hashable, Sendable {
        public var name = ""
        public var nodes: [Node] = []
        public var initializers: [Initializer] = []
        /// Every input, also those that only give an initialiser a type (IR version 3).
        public var inputs: [ValueInfo] = []
        public var outputs: [ValueInfo] = []
        public var valueInfos: [ValueInfo] = []

        public init(name: String = "") { self.name = name }
    }

    public struct Initializer: Hashable, Sendable {
        public var name: String
        public var value: ONNXTensorValue

        public init(name: String, value: ONNXTensorValue) {
            self.name = name
            self.value = value
        }
    }

    public struct Node: Hashable, Sendable {
        public var name = ""
        public var operation: String
        public var domain = ""
        /// Tells apart functions of one name and domain (IR version 10).
        public var overload = ""
        /// The opset its meaning is taken from: that of the model, or of the function it came from.
        public var version: Int
        /// Names of values; the empty string is an optional input left out.
        public var inputs: [String]
        public var outputs: [String]
        public var attributes: [Attribute] = []

        public init(
            _ operation: String, name: String = "", version: Int = 17, inputs: [String], outputs: [String],
            attributes: [Attribute] = []
        ) {
            self.operation = operation
            self.name = name
            self.version = version
            self.inputs = inputs
            self.outputs = outputs
            self.attributes = attributes
        }

        /// The attribute of this name, if given.
        public subscript(_ attribute: String) -> AttributeValue? {
            attributes.first { $0.name == attribute }?.value
        }

        /// How errors name this node.
        public var label: String {
            let title = domain.isEmpty ? operation : "\(domain).\(operation)"
            if !name.isEmpty { return "node '\(name)' (\(title))" }
            return outputs.first { !$0.isEmpty }.map { "node of '\($0)' (\(title))" } ?? "a node (\(title))"
        }
    }

    public struct Attribute: Hashable, Sendable {
        public var name: String
        public var value: AttributeValue

        public init(_ name: String, _ value: AttributeValue) {
            self.name = name
            self.value = value
        }
    }

    public enum AttributeValue: Hashable, Sendable {
        case float(Float)
        case integer(Int)
        case string(String)
        case tensor(ONNXTensorValue)
        case graph(Graph)
        case floats([Float])
        case integers([Int])
        case strings([String])
        case tensors([ONNXTensorValue])
        case graphs([Graph])
        case type(ValueType)
        /// Inside a function: the value of the function's attribute of this name.
        case reference(String)
    }

    public struct ValueInfo: Hashable, Sendable {
        public var name: String
        public var type: ValueType

        public init(name: String, type: ValueType) {
            self.name = name
            self.type = type
        }
    }

    public enum ValueType: Hashable, Sendable {
        /// A tensor; its dimensions are nil when not even the rank is declared.
        case tensor(ONNXElementType, [Dimension]?)
        /// A sequence, map, optional or sparse tensor, by that word.
        case other(String)
        case undeclared
    }

    public enum Dimension: Hashable, Sendable, CustomStringConvertible {
        case known(Int)
        case symbolic(String)
        case unknown

        public var description: String {
            switch self {
            case .known(let size): String(size)
            case .symbolic(let name): name
            case .unknown: "?"
            }
        }
    }

    /// A model-local function: an operator defined by nodes.
    public struct Function: Hashable, Sendable {
        public var name: String
        public var domain: String
        public var overload = ""
        public var inputs: [String]
        public var outputs: [String]
        /// Attributes without a default.
        public var attributes: [String]
        public var defaults: [Attribute]
        public var nodes: [Node]
    }
}
