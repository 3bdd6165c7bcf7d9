/// A tensor of a layer program: an image with channels innermost, or, for a program's input, planes as ONNX has them.
struct LayerTensor: Sendable {
    var height: Int
    var width: Int
    var channels: Int
    /// Row-major planes instead of channels-last.
    var planes = false
    /// Floats between pixels, where the unit's own choice does not hold.
    var pixelStride: Int?
    /// The tensor that holds this one's memory from channel `offset` on.
    var parent: Int?
    var offset = 0

    var pixels: Int { height * width }
}

/// The sliding window of a convolution or pooling.
struct LayerWindow: Hashable, Sendable {
    var size = 1
    var stride = 1
    var dilation = 1
    var top = 0
    var left = 0

    var isPoint: Bool { size == 1 && stride == 1 && top == 0 && left == 0 }
}

/// One step of a network as the kernels see it: a convolution with all that its epilogue takes in, or a pooling.
struct Layer: Sendable {
    enum Kind: Hashable, Sendable {
        /// Every output channel reads every input channel.
        case dense(LayerWindow)
        case depthwise(LayerWindow)
        case maximum(LayerWindow)
        case average(LayerWindow, countsPadding: Bool)
        case globalAverage
        /// `f(x + r)`, or `f(x)` without `r`.
        case elementwise
        /// `x · s`, one factor a channel.
        case scale
        case concat
    }

    var kind: Kind
    var inputs: [Int]
    var output: Int
    /// `[Co][Ci][K][K]` or `[C][1][K][K]`.
    var weights: [Float] = []
    /// `[Co]`; empty counts as zeros.
    var bias: [Float] = []
    var function = PointwiseFunction.identity
    /// Added before the function.
    var residual: Int?
    /// Factors of the input's channels.
    var scale: Int?
    var name = ""

    var reads: [Int] { inputs + [residual, scale].compactMap { $0 } }
}

/// A network lowered to layers, in order of execution.
struct LayerProgram: Sendable {
    var tensors: [LayerTensor]
    var layers: [Layer]
    var input: Int
    var output: Int

    /// Multiply-adds of a layer by its definition.
    func macs(_ layer: Layer) -> Int {
        switch layer.kind {
        case .dense, .depthwise: tensors[layer.output].pixels * layer.weights.count
        default: 0
        }
    }

    /// How many layers read each tensor; the output counts as read.
    func useCounts() -> [Int] {
        var counts = [Int](repeating: 0, count: tensors.count)
        for layer in layers { for t in layer.reads { counts[t] += 1 } }
        counts[output] += 1
        return counts
    }
}
