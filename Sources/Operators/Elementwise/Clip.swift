import CKernels
import IR

/// `y = min(max(x, low), high)`, elementwise; ReLU6 is `clip {low = 0, high = 6}`.
///
/// - Shapes: `x: [any] → y: [same]`.
public struct Clip: ParametricActivation {
    public static let mnemonic = "clip"
    public var low = -Double.infinity
    public var high = Double.infinity

    public init() {}
    public init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }
    public init(parameters: [Double]) { self.init(low: parameters[0], high: parameters[1]) }
    public var parameters: [Double] { [low, high] }

    public func apply<R: Scalar>(_ x: R) -> R { x < R(low) ? R(low) : x > R(high) ? R(high) : x }
    public func expression(_ x: String, _ m: inout CMath) -> String {
        let low = m.literal(low), high = m.literal(high)
        return "(\(x) < \(low) ? \(low) : \(x) > \(high) ? \(high) : \(x))"
    }
    public func derivative(_ x: Value, _ y: Value, in g: inout GraphBuilder) throws(ShapeError) -> Value {
        try g.append(Indicator(low: low, high: high), x)
    }
    public static var kernelCode: Int? { MARTLET_CLIP }
    public static var onnxName: (opType: String, since: Int) { ("Clip", 13) }

    public func onnx(_ x: [TensorType], _ y: [TensorType]) -> ONNXForm? {
        func bound(_ value: Double) -> ONNXForm.Input {
            value.isInfinite ? .omitted : .constant(Literal(scalar: value, x[0].element))
        }
        return ONNXForm("Clip", since: 13, inputs: [.operand(0), bound(low), bound(high)])
    }
    public static var onnxImports: [ONNXImport] {
        [
            ONNXImport("Clip", versions: 6...21, elements: ElementType.numbers) { node, g throws(ONNXImportError) in
                let x = try node.required(0), element = g.type(of: x).element
                if node.opset < 11 {
                    let op = Clip(
                        low: try node.float("min", default: -.infinity), high: try node.float("max", default: .infinity)
                    )
                    return try importing { () throws(ShapeError) in [try g.append(op, x, name: node.name)] }
                }
                func known(_ index: Int, _ otherwise: Double) -> Double? {
                    guard let value = node.input(index) else { return otherwise }
                    return g.constant(of: value).flatMap { $0.reals.first }
                }
                if element.isFloatingPoint, let low = known(1, -.infinity), let high = known(2, .infinity), low <= high
                {
                    let op = Clip(low: low, high: high)
                    return try importing { () throws(ShapeError) in [try g.append(op, x, name: node.name)] }
                }
                // Bounds that are computed, integers, and the odd case of low above high, where ONNX takes high.
                var y = x
                if let low = node.input(1) {
                    y = try importing { () throws(ShapeError) in try g.append(Maximum(), y, low) }
                }
                if let high = node.input(2) {
                    y = try importing { () throws(ShapeError) in try g.append(Minimum(), y, high) }
                }
                return [y]
            }
        ]
    }

    public static var specimens: [Specimen] { [Specimen(Clip(low: -1, high: 1), on: .f32(2, 3, 4), kinks: [-1, 1])] }
}
