public import IR

/// How one node is computed in C: the body of a function, and what it needs beyond operands and results.
public struct NodeCode: Hashable, Sendable {
    /// The body, in the terms of ``CBody``: `x0…`, `y0…`, `scratch`.
    public var body: CBody
    /// Constants that take the place of operands, by operand: weights packed for the body. `nil` leaves the operand out.
    public var packed: [Int: Literal?]
    /// C text that the body builds on, written once however many bodies name it.
    public var support: [Fragment]

    /// How many shares the work has. More than one make the body a function of `part`, the share's number.
    public var shares: Int
    /// What runs one after another: more than one make the body a function of `phase` as well.
    public var phases: [Phase]

    /// A part of the work that begins when all of the part before has ended.
    public enum Phase: Hashable, Sendable {
        /// Every share has its own piece.
        case shared
        /// Too small to be shared: share 0 does it.
        case alone
    }

    /// A piece of C text that stands before the functions.
    public struct Fragment: Hashable, Sendable {
        public var name: String
        public var text: String

        public init(_ name: String, _ text: String) {
            self.name = name
            self.text = text
        }
    }

    public init(
        _ body: CBody, packed: [Int: Literal?] = [:], support: [Fragment] = [], shares: Int = 1,
        phases: [Phase] = [.shared]
    ) {
        self.body = body
        self.packed = packed
        self.support = support
        self.shares = shares
        self.phases = phases
    }
}

/// A node whose code is asked for.
public struct NodeSite: Sendable {
    public var node: Node
    public var operands: [TensorType]
    public var results: [TensorType]
    /// The literals of operands that are constants.
    public var constants: [Int: Literal]

    public init(_ node: Node, operands: [TensorType], results: [TensorType], constants: [Int: Literal]) {
        self.node = node
        self.operands = operands
        self.results = results
        self.constants = constants
    }
}

/// A fast way of computing some operators, taken where a node's schedule names it under `kernel`.
public protocol ScheduledKernel: Sendable {
    /// The value of the schedule's decision `kernel`.
    static var name: String { get }
    /// The code of the node under its schedule.
    ///
    /// - Throws: ``ExportError`` when the schedule does not fit the node.
    static func code(for site: NodeSite) throws(ExportError) -> NodeCode
}

/// The kernels that a schedule can name.
enum ScheduledKernels {
    static let all: [any ScheduledKernel.Type] = [
        ConvolutionKernel.self, ImageKernel.self, ReorderKernel.self, ProductKernel.self, RowKernel.self,
        BatchedProductKernel.self, AttentionKernel.self,
    ]

    static func named(_ name: String) -> (any ScheduledKernel.Type)? { all.first { $0.name == name } }
}

extension NodeSite {
    /// The node's code: that of its schedule where it has one, else the operator's own portable body.
    ///
    /// - Throws: ``ExportError`` for an unknown kernel, or an operator that has no C for these types.
    func code() throws(ExportError) -> NodeCode {
        if case .string(let kernel)? = node.schedule["kernel"] {
            guard let scheduled = ScheduledKernels.named(kernel) else {
                let known = ScheduledKernels.all.map { $0.name }.joined(separator: ", ")
                throw ExportError(.invalid, "\(label): unknown kernel '\(kernel)' in the schedule; known: \(known)")
            }
            return try scheduled.code(for: self)
        }
        if let odd = (operands + results).first(where: { $0.layout != .plain }) {
            throw ExportError(
                .invalid, "\(label): portable code works on row-major tensors, found \(odd); name a kernel")
        }
        guard let body = node.op.c(operands, results) else {
            let types = operands.map(\.description).joined(separator: ", ")
            throw ExportError(.unsupported, "\(label) has no C for operands (\(types))")
        }
        return NodeCode(body)
    }

    /// The operator with the node's name, as messages say it.
    var label: String { node.op.mnemonic + (node.name.map { " " + AttributeValue.quote($0) } ?? "") }
}
