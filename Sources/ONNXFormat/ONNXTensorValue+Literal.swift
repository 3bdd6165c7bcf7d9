public import IR

extension ONNXElementType {
    /// The IR's element type; nil for strings, complex numbers and the small floats.
    public var element: ElementType? {
        switch self {
        case .float: .f32
        case .double: .f64
        case .float16: .f16
        case .bfloat16: .bf16
        case .int64: .i64
        case .int32: .i32
        case .int16: .i16
        case .int8: .i8
        case .uint64: .u64
        case .uint32: .u32
        case .uint16: .u16
        case .uint8: .u8
        case .bool: .bool
        default: nil
        }
    }

    init(_ element: ElementType) {
        self =
            switch element {
            case .f32: .float
            case .f64: .double
            case .f16: .float16
            case .bf16: .bfloat16
            case .i64: .int64
            case .i32: .int32
            case .i16: .int16
            case .i8: .int8
            case .u64: .uint64
            case .u32: .uint32
            case .u16: .uint16
            case .u8: .uint8
            case .bool: .bool
            }
    }
}

extension ONNXTensorValue {
    /// The tensor as a constant of the IR.
    public var literal: Literal {
        guard let element = elementType.element else {
            preconditionFailure("a tensor of type \(elementType) cannot have been read")
        }
        return Literal(element, dimensions, bytes: bytes)
    }

    public init(_ literal: Literal) {
        self.init(matching: ONNXElementType(literal.element), literal.shape, literal.bytes)
    }

    /// The type of the tensor in the IR.
    public var type: TensorType { literal.type }
}
