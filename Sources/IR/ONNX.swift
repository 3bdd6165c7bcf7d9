/// An attribute of an ONNX node.
public enum ONNXAttribute: Hashable, Sendable {
    case int(Int)
    case float(Float)
    case string(String)
    case ints([Int])
    case floats([Float])
    case strings([String])
    case tensor(Literal)
    /// A kind that no operator here reads, named for the message.
    case unsupported(String)
}

/// A node of an ONNX graph as operators see it: no protobuf, operands already values of the graph being built.
public struct ONNXNode: Sendable {
    public var name: String
    public var opType: String
    public var domain: String
    /// The version of the operator set that the model imports for the domain.
    public var opset: Int
    /// Operands; `nil` where an optional one is left out. Trailing left-out operands are dropped.
    public var inputs: [Value?]
    /// Names of the results; empty where an optional one is not wanted.
    public var outputs: [String]
    public var attributes: [String: ONNXAttribute]

    public init(
        name: String, opType: String, domain: String = "", opset: Int, inputs: [Value?], outputs: [String],
        attributes: [String: ONNXAttribute] = [:]
    ) {
        self.name = name
        self.opType = opType
        self.domain = domain
        self.opset = opset
        self.inputs = inputs
        self.outputs = outputs
        self.attributes = attributes
    }

    /// The operand at `index`, or `nil` when it is left out.
    public func input(_ index: Int) -> Value? { index < inputs.count ? inputs[index] : nil }

    /// The operand at `index`, which must be there.
    public func required(_ index: Int) throws(ONNXImportError) -> Value {
        guard let value = input(index) else { throw .malformed("operand \(index) is missing") }
        return value
    }

    /// Whether the result at `index` has a name.
    public func wants(_ index: Int) -> Bool { index < outputs.count && !outputs[index].isEmpty }

    /// An integer attribute, clamped to 32 bits.
    ///
    /// What lies beyond stands for "to the end", or is a mistake: sums and products of such sizes would overflow.
    public func int(_ name: String, default value: Int) throws(ONNXImportError) -> Int {
        switch attributes[name] {
        case nil: return value
        case .int(let found)?: return found.clampedToSize
        default: throw .malformed("attribute '\(name)' should be an integer")
        }
    }
    public func float(_ name: String, default value: Double) throws(ONNXImportError) -> Double {
        switch attributes[name] {
        case nil: return value
        case .float(let found)?: return Double(found)
        default: throw .malformed("attribute '\(name)' should be a real number")
        }
    }
    public func string(_ name: String, default value: String) throws(ONNXImportError) -> String {
        switch attributes[name] {
        case nil: return value
        case .string(let found)?: return found
        default: throw .malformed("attribute '\(name)' should be a string")
        }
    }
    /// A list of integers, each clamped as by ``int(_:default:)``.
    public func ints(_ name: String) throws(ONNXImportError) -> [Int]? {
        switch attributes[name] {
        case nil: return nil
        case .ints(let found)?: return found.map(\.clampedToSize)
        default: throw .malformed("attribute '\(name)' should be a list of integers")
        }
    }
    public func tensor(_ name: String) throws(ONNXImportError) -> Literal? {
        switch attributes[name] {
        case nil: return nil
        case .tensor(let found)?: return found
        default: throw .malformed("attribute '\(name)' should be a tensor")
        }
    }
}

extension Int {
    /// The nearest integer of 32 bits.
    public var clampedToSize: Int { Swift.min(Swift.max(self, Int(Int32.min)), Int(Int32.max)) }
}

/// Why an ONNX node cannot be read.
public enum ONNXImportError: Error, Hashable, Sendable {
    /// Right ONNX that is not supported here.
    case unsupported(String)
    /// Wrong ONNX.
    case malformed(String)
}

/// How one ONNX operator is read.
public struct ONNXImport: Sendable {
    public typealias Read = @Sendable (ONNXNode, inout GraphBuilder) throws(ONNXImportError) -> [Value]

    public var opType: String
    public var domain: String
    /// Operator-set versions that are read.
    public var versions: ClosedRange<Int>
    /// What of the operator is refused, as a phrase for the support table; empty when nothing is.
    public var refuses: String
    /// Element types of the main operand.
    public var elements: [ElementType]
    public var read: Read

    public init(
        _ opType: String, domain: String = "", versions: ClosedRange<Int> = 1...21,
        elements: [ElementType] = ElementType.floats,
        refuses: String = "", read: @escaping Read
    ) {
        self.opType = opType
        self.domain = domain
        self.versions = versions
        self.elements = elements
        self.refuses = refuses
        self.read = read
    }
}

extension ElementType {
    public static let floats: [ElementType] = [.f32, .f64, .f16, .bf16]
    public static let integers: [ElementType] = [.i64, .i32, .i16, .i8, .u64, .u32, .u16, .u8]
    public static let numbers = floats + integers
}

/// An operator written as one ONNX node.
public struct ONNXForm: Sendable {
    public enum Input: Sendable {
        case operand(Int)
        /// A constant that the operator keeps as an attribute and ONNX takes as an operand.
        case constant(Literal)
        case omitted
    }

    public var opType: String
    /// The operator-set version from which on this form is right.
    public var since: Int
    /// `nil`: every operand in order.
    public var inputs: [Input]?
    public var attributes: [(name: String, value: ONNXAttribute)]

    public init(
        _ opType: String, since: Int, inputs: [Input]? = nil, attributes: [(name: String, value: ONNXAttribute)] = []
    ) {
        self.opType = opType
        self.since = since
        self.inputs = inputs
        self.attributes = attributes
    }
}

/// Runs a builder's step while an ONNX node is read: shape errors mean that the file is wrong.
public func importing<T>(_ body: () throws(ShapeError) -> T) throws(ONNXImportError) -> T {
    do throws(ShapeError) { return try body() } catch { throw .malformed(error.description) }
}
