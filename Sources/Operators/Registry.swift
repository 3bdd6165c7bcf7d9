import IR

/// Every operator there is.
public enum Registry {
    public static let all: [any Operator.Type] = [
        // Elementwise
        Relu.self, Clip.self, Sigmoid.self, Tanh.self, HardSigmoid.self, HardSwish.self, Silu.self, Gelu.self, Elu.self,
        LeakyRelu.self, Softplus.self, Exp.self, Log.self, Sqrt.self, Negate.self, Absolute.self, Sign.self,
        Reciprocal.self,
        Erf.self, Indicator.self, UnaryGradient.self, Cast.self, Identity.self, StopGradient.self, Barrier.self,
        Add.self, Subtract.self, Multiply.self, Divide.self, Maximum.self, Minimum.self, Power.self,
        Greater.self, GreaterOrEqual.self, Less.self, LessOrEqual.self, Equal.self, And.self, Or.self, Xor.self,
        Where.self,
        WeightedSum.self, WeightedSumDots.self,
        Sine.self, Cosine.self, Tangent.self, ArcSine.self, ArcCosine.self, ArcTangent.self, HyperbolicSine.self,
        HyperbolicCosine.self, AreaSine.self, AreaCosine.self, AreaTangent.self, Floor.self, Ceiling.self, Round.self,
        Modulo.self, BitwiseAnd.self, BitwiseOr.self, BitwiseXor.self, ShiftLeft.self, ShiftRight.self,
        // Reductions
        ReduceSum.self, ReduceMean.self, ReduceMax.self, ReduceMin.self, ReduceProduct.self,
        // Shape
        Reorder.self, Reshape.self, BroadcastTo.self, Transpose.self, Slice.self, SliceGradient.self, Concat.self,
        Pad.self, ChannelShuffle.self, Resample.self,
        // Indexing
        Gather.self, GatherElements.self, GatherND.self, ScatterElements.self, ScatterND.self,
        ArgExtreme.self, TopK.self, CumulativeSum.self,
        // Linear algebra and convolution
        MatMul.self, Linear.self, FusedMatMul.self, Attention.self, Conv2D.self, FusedConv2D.self,
        Conv2DInputGradient.self,
        Conv2DFilterGradient.self,
        ConvolutionChain.self, JoinedConvolutions.self,
        // Normalisation and pooling
        BatchNorm.self, BatchNormGradient.self, BatchNormInference.self, LayerNorm.self,
        NormalizedConv2D.self, NormalizedConv2DGradient.self, NormalizedChains.self, NormalizedChainsGradient.self,
        ChannelMoments.self, BatchNormScale.self,
        BatchNormGradientScale.self, NormalizedSum.self, NormalizedDots.self,
        MaxPool2D.self, MaxPool2DGradient.self, MaxPool2DSelection.self, AveragePool2D.self, AveragePool2DGradient.self,
        GridSample.self, RoiAlign.self,
        // Recurrent layers
        Recurrent.self,
        // Losses and random draws
        Softmax.self, LogSoftmax.self, CrossEntropy.self, CrossEntropyGradient.self, SoftCrossEntropy.self, OneHot.self,
        Dropout.self, DropPath.self,
    ]

    /// The operators by mnemonic.
    public static let byMnemonic: [String: any Operator.Type] = Dictionary(
        uniqueKeysWithValues: (all + [Parameter.self, Constant.self]).map { ($0.mnemonic, $0) })

    /// ONNX operators that are read as several operators, or as a constant, and have no operator of their own.
    static let compositeImports: [ONNXImport] =
        shapeImports + elementwiseImports + reductionImports + lossImports + indexImports + normalisationImports
        + spatialImports + resizeImports + quantisedImports + signalImports + recurrentImports + gridImports

    /// How ONNX's operators are read, by domain and name.
    public static let onnxImports: [String: ONNXImport] = {
        var imports: [String: ONNXImport] = [:]
        for type in all { for entry in type.onnxImports { imports[entry.key] = entry } }
        for entry in compositeImports { imports[entry.key] = entry }
        return imports
    }()
}

extension ONNXImport {
    /// `domain:OpType`, the default domain being empty.
    public var key: String { Self.key(opType, domain: domain) }

    public static func key(_ opType: String, domain: String) -> String {
        "\(domain == "ai.onnx" ? "" : domain):\(opType)"
    }
}

extension Graph {
    /// Reads the text form with every operator known.
    public init(parsing text: String, file: String = "graph") throws(ParseError) {
        try self.init(parsing: text, operators: Registry.byMnemonic, file: file)
    }
}
