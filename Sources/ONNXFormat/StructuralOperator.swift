/// Operators of ONNX that graphs have no counterpart for: they disappear while a model is read.
public enum StructuralOperator: String, CaseIterable, Sendable {
    case constant = "Constant"
    case conditional = "If"
    case loop = "Loop"
    case scan = "Scan"

    /// Operator-set versions that are read.
    public var versions: ClosedRange<Int> { self == .scan ? 9...21 : 1...21 }

    /// What of the operator is refused, as a phrase for the support table; empty when nothing is.
    public var refuses: String {
        switch self {
        case .constant: "strings"
        case .conditional: "a condition that depends on data"
        case .loop: "a condition or a number of iterations that depends on data"
        case .scan: ""
        }
    }

    /// The operator that a node of the default domain names.
    init?(_ node: ONNXModel.Node) {
        guard node.domain.isEmpty else { return nil }
        self.init(rawValue: node.operation)
    }
}
