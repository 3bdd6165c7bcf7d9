/// How the elements of a tensor lie in memory. Shapes are always written in ONNX's order (`N C H W`).
public enum Layout: Hashable, Sendable {
    /// Row-major in the order of the shape.
    case plain
    /// Channels (dimension 1) innermost, padded with zeros to a multiple of `padding`.
    case channelsLast(padding: Int)

    public static let channelsLast = Layout.channelsLast(padding: 1)
}

/// The type of a value: element type, static shape and memory layout.
public struct TensorType: Hashable, Sendable {
    public var element: ElementType
    public var shape: [Int]
    public var layout: Layout

    public init(_ element: ElementType, _ shape: [Int], layout: Layout = .plain) {
        self.element = element
        self.shape = shape
        self.layout = layout
    }

    public static func f32(_ shape: Int...) -> TensorType { TensorType(.f32, shape) }
    public static func f64(_ shape: Int...) -> TensorType { TensorType(.f64, shape) }
    public static func i64(_ shape: Int...) -> TensorType { TensorType(.i64, shape) }
    public static func i32(_ shape: Int...) -> TensorType { TensorType(.i32, shape) }
    public static func bool(_ shape: Int...) -> TensorType { TensorType(.bool, shape) }
    public static func u8(_ shape: Int...) -> TensorType { TensorType(.u8, shape) }
    public static func i8(_ shape: Int...) -> TensorType { TensorType(.i8, shape) }

    public var rank: Int { shape.count }

    /// Number of logical elements; the largest integer when there are more.
    public var count: Int { shape.elementCount }

    /// Whether the tensor takes less than 2 GiB, the most that the usual memory models of C can address.
    public var fitsInMemory: Bool { count < 1 << 31 / element.size }

    /// Elements in memory, padding included.
    public var storedCount: Int {
        guard case .channelsLast(let padding) = layout, rank > 1, padding > 1 else { return count }
        return count / max(shape[1], 1) * ((shape[1] + padding - 1) / padding * padding)
    }

    /// Bytes in memory, padding included.
    public var byteCount: Int { storedCount * element.size }

    /// The same type in row-major order.
    public var plain: TensorType { TensorType(element, shape) }

    public func with(shape: [Int]) -> TensorType { TensorType(element, shape) }
    public func with(element: ElementType) -> TensorType { TensorType(element, shape) }
    public func with(layout: Layout) -> TensorType { TensorType(element, shape, layout: layout) }

    /// Row-major strides of a shape, in elements.
    public static func strides(_ shape: [Int]) -> [Int] {
        var strides = [Int](repeating: 1, count: shape.count)
        for i in stride(from: shape.count - 2, through: 0, by: -1) { strides[i] = strides[i + 1] * shape[i + 1] }
        return strides
    }
}

extension TensorType: CustomStringConvertible {
    /// The text form: `f32[1,16,8,8]`, with `@nhwc` or `@nhwc16` behind it for channels-last.
    public var description: String {
        let text = "\(element.rawValue)[\(shape.map(String.init).joined(separator: ","))]"
        return switch layout {
        case .plain: text
        case .channelsLast(let padding): text + (padding == 1 ? "@nhwc" : "@nhwc\(padding)")
        }
    }
}

/// Operands that an operator cannot take. The message names the subject, then expected and found, then the remedy.
public struct ShapeError: Error, Hashable, Sendable, CustomStringConvertible {
    public var message: String
    /// Where it happened: the operator's text and the node's name, once known.
    public var place: String?

    public init(_ message: String, at place: String? = nil) {
        self.message = message
        self.place = place
    }

    public var description: String { place.map { "\($0): \(message)" } ?? message }
}

extension [TensorType] {
    /// The operands, when there are exactly `count`.
    public func expect(_ count: Int, for op: some Operator) throws(ShapeError) -> [TensorType] {
        guard self.count == count else {
            throw ShapeError(
                "\(type(of: op).mnemonic) expects \(count) operand\(count == 1 ? "" : "s"), found \(self.count)")
        }
        return self
    }

    public func single(for op: some Operator) throws(ShapeError) -> TensorType { try expect(1, for: op)[0] }
}

extension TensorType {
    public func requireFloat(for op: some Operator) throws(ShapeError) -> TensorType {
        guard element.isFloatingPoint else {
            throw ShapeError("\(Swift.type(of: op).mnemonic) expects a floating-point operand, found \(self)")
        }
        return self
    }

    public func require(rank: Int, for op: some Operator) throws(ShapeError) -> TensorType {
        guard self.rank == rank else {
            throw ShapeError("\(Swift.type(of: op).mnemonic) expects an operand of rank \(rank), found \(self)")
        }
        return self
    }

    /// The shape both broadcast to, by ONNX's (NumPy's) rule.
    public static func broadcast(_ a: [Int], _ b: [Int], for op: some Operator) throws(ShapeError) -> [Int] {
        let rank = max(a.count, b.count)
        var shape = [Int](repeating: 1, count: rank)
        for i in 0..<rank {
            let m = i < rank - a.count ? 1 : a[i - (rank - a.count)]
            let n = i < rank - b.count ? 1 : b[i - (rank - b.count)]
            guard m == n || m == 1 || n == 1 else {
                throw ShapeError(
                    "\(Swift.type(of: op).mnemonic): shapes \(a) and \(b) do not broadcast: dimension \(i) is \(m) and \(n)"
                )
            }
            shape[i] = m == 1 ? n : m
        }
        return shape
    }

    /// An axis counted from the front; negative ones count from the back.
    public static func axis(_ axis: Int, rank: Int, for op: some Operator) throws(ShapeError) -> Int {
        let normal = axis < 0 ? axis + rank : axis
        guard normal >= 0 && normal < max(rank, 1) else {
            throw ShapeError("\(Swift.type(of: op).mnemonic): axis \(axis) is outside a tensor of rank \(rank)")
        }
        return normal
    }
}

extension [Int] {
    /// The product of a shape's sizes; the largest integer when it is larger still.
    public var elementCount: Int {
        var product = 1
        for size in self {
            let (next, overflow) = product.multipliedReportingOverflow(by: size)
            if overflow { return contains(0) ? 0 : .max }
            product = next
        }
        return product
    }
}
